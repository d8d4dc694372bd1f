-- cqrs-outbox: set_aside
-- ?1 is [[id, what is wrong with the row], ...]. What is copied keeps its bytes, UTF-8 or not.
insert into cqrs_outbox_dead (
    outbox_id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent,
    forced, created_at, expires_at, attempts, reason, error, died_at
)
select
    row.id, row.message_id, row.slot, row.cqrs_id, row.instance_pk, row.signal, row.queue,
    row.revision, row.body, row.traceparent, row.forced, row.created_at, row.expires_at, row.attempts,
    'unreadable', named.value ->> 1, cast(round(unixepoch('subsec') * 1000) as integer) * 1000
from json_each(?1) as named
cross join cqrs_outbox as row on row.id = named.value ->> 0
order by row.id
