-- cqrs-outbox: dead_show
select
    id, coalesce(outbox_id, id), message_id, cqrs_id, instance_pk, signal, queue, revision, body, created_at, died_at,
    attempts, reason, error, superseded
from cqrs_outbox_dead
where id = ?1
