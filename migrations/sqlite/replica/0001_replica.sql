-- What the replica side keeps beside the user's own tables: the state of each instance, messages
-- that could not be applied yet or at all, and its workers.
-- Times are microseconds since 1970 in UTC; UUIDs are hyphenated lower-case text.

-- One row per queue and instance ever heard of; deleted ones are tombstones.
create table cqrs_replica_state (
    queue       text not null,
    cqrs_id     text not null,
    instance_pk text not null,
    -- -1: locked by a worker that is about to decide, nothing applied yet.
    revision    integer not null check (revision >= -1),
    -- The master's time of that state.
    updated     integer not null,
    -- When the delete was applied here.
    deleted_at  integer,
    deleted     integer not null generated always as (deleted_at is not null) virtual,
    -- Whether the master counts revisions (`cqrs-counted`).
    counted     integer not null default 0 check (counted in (0, 1)),
    -- The message id of the last sync applied: the same one is not applied twice.
    sync_id     text,
    applied_at  integer not null,
    primary key (queue, cqrs_id, instance_pk)
) strict, without rowid;

create index cqrs_replica_state_tombstone on cqrs_replica_state (queue, deleted_at)
    where deleted_at is not null;

create table cqrs_dead_letter (
    id              integer primary key autoincrement,
    queue           text not null,
    state           text not null check (state in
                        ('waiting', 'retrying', 'dead', 'superseded', 'discarded', 'resolved')),
    -- The class of the reason; for a waiting letter what it waits for.
    reason          text not null,
    error           text,
    -- Equal for letters that failed in the same way.
    fingerprint     text,
    attempts        integer not null default 0 check (attempts >= 0),
    -- When it is looked at again: the next attempt, or the end of the wait.
    next_attempt_at integer,
    created_at      integer not null,
    updated_at      integer not null,
    -- The message as it came (bytes: it need not be text), and what could be read of it.
    message_id      text,
    routing_key     text not null,
    body            blob not null,
    traceparent     text,
    counted         integer not null check (counted in (0, 1)),
    cqrs_id         text,
    instance_pk     text,
    signal          text,
    revision        integer,
    check ((state in ('waiting', 'retrying')) = (next_attempt_at is not null))
) strict;

-- What is due.
create index cqrs_dead_letter_due on cqrs_dead_letter (queue, next_attempt_at)
    where next_attempt_at is not null;
-- What an instance still has in hand.
create index cqrs_dead_letter_instance on cqrs_dead_letter (queue, cqrs_id, instance_pk, revision)
    where next_attempt_at is not null;
-- What waits for a worker that knows its model.
create index cqrs_dead_letter_unknown on cqrs_dead_letter (queue, cqrs_id, id)
    where next_attempt_at is not null and reason = 'unknown_model';
-- Whether a message has become a letter before.
create index cqrs_dead_letter_message on cqrs_dead_letter (queue, message_id)
    where next_attempt_at is null;
create index cqrs_dead_letter_state on cqrs_dead_letter (queue, state, id);

create table cqrs_replica_worker (
    worker          text primary key,
    queue           text not null,
    started_at      integer not null,
    beat_at         integer not null,
    -- When the oldest message that it has not acknowledged came to it.
    oldest_unacked  integer,
    -- The queue was deleted under it: messages are lost until a reconcile.
    needs_reconcile integer not null default 0 check (needs_reconcile in (0, 1))
) strict, without rowid;
