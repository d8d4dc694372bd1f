-- cqrs-outbox: record
--
-- Writes an event whose revision has been raised.
insert into cqrs_outbox (
    message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent,
    created_at, expires_at, forced
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
returning id
