-- cqrs-outbox: set_aside
-- $1 ids, $2 what is wrong with them. No lease is asked for: no relay can send such a row.
with unreadable as (
    delete from cqrs_outbox as row
    using unnest($1::bigint[], $2::text[]) as named (id, problem)
    where row.id = any ($1) and row.id = named.id
    returning
        row.id, row.message_id, row.slot, row.cqrs_id, row.instance_pk, row.signal, row.queue,
        row.revision, row.body, row.traceparent, row.forced, row.created_at, row.expires_at,
        row.attempts, named.problem
)
insert into cqrs_outbox_dead (
    outbox_id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent,
    forced, created_at, expires_at, attempts, reason, error
)
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent,
    forced, created_at, expires_at, attempts, 'unreadable', problem
from unreadable
order by id
