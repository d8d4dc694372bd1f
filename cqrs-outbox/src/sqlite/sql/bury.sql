-- cqrs-outbox: bury
-- Without attempts and error, those of the row.
insert into cqrs_outbox_dead (
    outbox_id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, expires_at, attempts, reason, error, died_at
)
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, expires_at, coalesce(?4, attempts), ?3, coalesce(?5, last_error),
    cast(round(unixepoch('subsec') * 1000) as integer) * 1000
from cqrs_outbox
where id = ?1 and message_id = ?2
