-- cqrs-replica: take_due
-- Letters that are due, and those of models that this worker knows and others did not. Letters in
-- another session's hands are passed over. Of those that the database did not take no more than a few,
-- since they may take long again.
with due as (
    select id from cqrs_dead_letter
    where queue = $1 and next_attempt_at is not null and next_attempt_at <= statement_timestamp()
      and reason <> 'database'
    order by next_attempt_at limit $3
    for update skip locked
), slow as (
    select id from cqrs_dead_letter
    where queue = $1 and next_attempt_at is not null and next_attempt_at <= statement_timestamp()
      and reason = 'database'
    order by next_attempt_at limit 10
    for update skip locked
), known as (
    select id from cqrs_dead_letter
    where queue = $1 and next_attempt_at is not null and reason = 'unknown_model'
      and state = 'waiting' and cqrs_id = any($2)
    order by id limit $3
    for update skip locked
)
select id, state, reason, attempts, created_at, next_attempt_at, message_id, routing_key, body,
       traceparent, counted, forced, waits_for, waits_until
from cqrs_dead_letter
where id = any(array((select id from due union select id from known limit $3)
                     union all select id from slow))
order by cqrs_id, instance_pk, revision, id
