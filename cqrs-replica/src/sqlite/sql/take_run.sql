-- cqrs-replica: take_run
-- The letters of an instance that wait for a revision that has just been applied.
select id, state, reason, attempts, created_at, next_attempt_at, message_id, routing_key, body,
       traceparent, counted, forced, waits_for, waits_until
from cqrs_dead_letter
where queue = ?1 and cqrs_id = ?2 and instance_pk = ?3 and revision >= ?4
  and next_attempt_at is not null and state = 'waiting'
order by revision, id limit ?5
