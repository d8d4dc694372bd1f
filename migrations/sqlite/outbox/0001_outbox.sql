-- What the master side keeps: revisions, the outbox, its dead rows, and the relays' leases.
-- Times are microseconds since 1970 in UTC; UUIDs are hyphenated lower-case text.

-- One row per instance ever published.
create table cqrs_revision (
    cqrs_id     text not null,
    instance_pk text not null,
    revision    integer not null check (revision >= 0),
    updated     integer not null,
    deleted     integer not null check (deleted in (0, 1)),
    primary key (cqrs_id, instance_pk)
) strict, without rowid;

create table cqrs_outbox (
    -- Without autoincrement, the id of the last row would be given again once it is deleted.
    id              integer primary key autoincrement,
    message_id      text not null,
    slot            integer not null check (slot between 0 and 63),
    cqrs_id         text not null,
    instance_pk     text not null,
    signal          text not null check (signal in ('SAVE', 'DELETE', 'SYNC')),
    queue           text,
    revision        integer not null check (revision >= 0),
    body            text not null,
    traceparent     text,
    created_at      integer not null,
    expires_at      integer,
    attempts        integer not null default 0 check (attempts >= 0),
    next_attempt_at integer,
    last_error      text,
    check (next_attempt_at is null or attempts > 0)
) strict;

create index cqrs_outbox_instance on cqrs_outbox (cqrs_id, instance_pk, id);
create index cqrs_outbox_due on cqrs_outbox (next_attempt_at) where next_attempt_at is not null;

create table cqrs_outbox_dead (
    id          integer primary key,
    message_id  text not null,
    slot        integer not null,
    cqrs_id     text not null,
    instance_pk text not null,
    signal      text not null,
    queue       text,
    revision    integer not null,
    body        text not null,
    traceparent text,
    created_at  integer not null,
    expires_at  integer,
    attempts    integer not null,
    reason      text not null check (reason in ('failed', 'expired', 'no_queue')),
    error       text,
    died_at     integer not null,
    superseded  integer not null default 0 check (superseded in (0, 1))
) strict;

create table cqrs_relay (
    owner      text primary key,
    beat       integer not null,
    started_at integer not null,
    expires_at integer not null
) strict, without rowid;

create table cqrs_relay_lease (
    slot  integer primary key check (slot between 0 and 63),
    owner text,
    epoch integer not null default 0
) strict;

insert into cqrs_relay_lease (slot)
with recursive slot(number) as (select 0 union all select number + 1 from slot where number < 63)
select number from slot;
