-- cqrs-replica: take_due
-- Letters that are due, and those of models that this worker knows and others did not. Without
-- its name the planner prefers an index that all waiting letters share. Of those that the database did
-- not take no more than a few, since they may take long again.
select id, state, reason, attempts, created_at, next_attempt_at, message_id, routing_key, body,
       traceparent, counted, forced, waits_for, waits_until
from cqrs_dead_letter
where id in (
    select id from (
        select id from cqrs_dead_letter
        where queue = ?1 and next_attempt_at is not null
          and next_attempt_at <= cast(unixepoch('now', 'subsec') * 1000000 as integer)
          and reason <> 'database'
        order by next_attempt_at limit ?3)
    union
    select id from (
        select id from cqrs_dead_letter
        where queue = ?1 and next_attempt_at is not null
          and next_attempt_at <= cast(unixepoch('now', 'subsec') * 1000000 as integer)
          and reason = 'database'
        order by next_attempt_at limit 10)
    union
    select id from (
        select id from cqrs_dead_letter indexed by cqrs_dead_letter_unknown
        where queue = ?1 and next_attempt_at is not null and reason = 'unknown_model'
          and state = 'waiting' and cqrs_id in (select value from json_each(?2))
        order by id limit ?3))
order by cqrs_id, instance_pk, revision, id
