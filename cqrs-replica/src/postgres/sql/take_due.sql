-- cqrs-replica: take_due
-- Letters that are due, and those that wait for a model which is ready: this worker knows it and others
-- did not, or it was paused. With them those of the instances whose rows have a value that one of them is to have: two rows that change places
-- can only be written together. Letters in another session's hands are passed over. Of those that the
-- database did not take no more than a few, since they may take long again.
with recursive due as (
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
), held as (
    select l.id
    from unnest($2) as ready (cqrs_id)
    cross join lateral (
        select id from cqrs_dead_letter
        where queue = $1 and reason = 'paused' and state = 'waiting' and cqrs_id = ready.cqrs_id
        order by id limit $3
        for update skip locked
    ) l
    limit $3
), turn as (
    select id from due union select id from known limit $3
), holding (id, waits_for) as (
    select id, waits_for from cqrs_dead_letter
    where id = any(array(select id from turn)) and reason = 'constraint' and waits_for is not null
    union
    select l.id, l.waits_for
    from holding h
    cross join lateral (
        select id, waits_for from cqrs_dead_letter
        where queue = $1 and next_attempt_at is not null
          and cqrs_id = split_part(h.waits_for, ' ', 1)
          and instance_pk = substr(h.waits_for, strpos(h.waits_for, ' ') + 1)
        limit $3
    ) l
), along as (
    select id from cqrs_dead_letter
    where id = any(array(select id from holding limit $3)) and next_attempt_at is not null
    for update skip locked
)
select id, state, reason, attempts, created_at, next_attempt_at, message_id, routing_key, body,
       traceparent, counted, forced, waits_for, waits_until
from cqrs_dead_letter
where id = any(array(select id from turn union select id from along union select id from slow
                   union select id from held))
order by cqrs_id, instance_pk, revision, id
