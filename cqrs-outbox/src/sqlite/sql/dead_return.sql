-- cqrs-outbox: dead_return
-- ?2 is a body without expiry, or null for the body as it is.
insert into cqrs_outbox (
    message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced, created_at,
    expires_at
)
select
    message_id, slot, cqrs_id, instance_pk, signal, queue, revision, coalesce(?2, body),
    traceparent, forced, created_at, case when ?2 is null then expires_at end
from cqrs_outbox_dead
where id = ?1
