-- cqrs-replica: take_one
-- A letter by its number, if it is still open.
select id, state, reason, attempts, created_at, next_attempt_at, message_id, routing_key, body,
       traceparent, counted, forced, waits_for, waits_until
from cqrs_dead_letter
where id = ?2 and queue = ?1 and next_attempt_at is not null
