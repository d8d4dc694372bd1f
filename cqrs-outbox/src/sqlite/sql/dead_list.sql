-- cqrs-outbox: dead_list
select
    id, coalesce(outbox_id, id), message_id, cqrs_id, instance_pk, signal, queue, revision, body, created_at, died_at,
    attempts, reason, error, superseded
from cqrs_outbox_dead
order by died_at desc, id desc
limit ?1
