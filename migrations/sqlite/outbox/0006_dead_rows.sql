-- Dead rows get ids of their own: an id of the outbox may be given again. And they are also the place of
-- rows that cannot be read. The table is made anew, since checks cannot be changed.
create table cqrs_outbox_dead_next (
    -- Without autoincrement, the id of the last row would be given again once it is deleted.
    id          integer primary key autoincrement,
    -- The id that the row had in the outbox.
    outbox_id   integer,
    message_id  text not null,
    slot        integer,
    cqrs_id     text not null,
    instance_pk text not null,
    signal      text not null,
    queue       text,
    revision    integer not null,
    body        text not null,
    traceparent text,
    forced      integer not null default 0 check (forced in (0, 1)),
    created_at  integer not null,
    expires_at  integer,
    attempts    integer not null,
    reason      text not null check (reason in ('failed', 'expired', 'no_queue', 'unreadable')),
    error       text,
    died_at     integer not null,
    superseded  integer not null default 0 check (superseded in (0, 1))
) strict;

insert into cqrs_outbox_dead_next (
    id, outbox_id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent,
    forced, created_at, expires_at, attempts, reason, error, died_at, superseded
)
select
    id, id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent,
    forced, created_at, expires_at, attempts, reason, error, died_at, superseded
from cqrs_outbox_dead
order by id;

drop table cqrs_outbox_dead;
alter table cqrs_outbox_dead_next rename to cqrs_outbox_dead;
create index cqrs_outbox_dead_outbox on cqrs_outbox_dead (outbox_id);
