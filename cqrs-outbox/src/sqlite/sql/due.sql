-- cqrs-outbox: due
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at,
    coalesce(expires_at <= cast(round(unixepoch('subsec') * 1000) as integer) * 1000, 0),
    attempts
from cqrs_outbox indexed by cqrs_outbox_due
where next_attempt_at <= cast(round(unixepoch('subsec') * 1000) as integer) * 1000
    and slot in (select value from json_each(?1))
order by next_attempt_at, id
limit ?2
