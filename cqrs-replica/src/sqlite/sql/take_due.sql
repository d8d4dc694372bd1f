-- cqrs-replica: take_due
-- Letters that are due, and those that wait for a model which is ready: this worker knows it and others
-- did not, or it was paused. With them those of the instances whose rows have a value that one of them is to have: two rows that change places
-- can only be written together. Without its name the planner prefers an index that all waiting
-- letters share. Of those that the database did not take no more than a few, since they may take long
-- again.
with recursive turn (id) as (
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
        order by id limit ?3)
), held (id) as (
    select l.id from json_each(?2) ready
    cross join cqrs_dead_letter l
        on l.id in (
            select id from cqrs_dead_letter indexed by cqrs_dead_letter_paused
            where queue = ?1 and reason = 'paused' and state = 'waiting' and cqrs_id = ready.value
            order by id limit ?3)
    limit ?3
), holding (id, waits_for) as (
    select id, waits_for from cqrs_dead_letter
    where id in (select id from turn) and reason = 'constraint' and waits_for is not null
    union
    select l.id, l.waits_for
    from holding h
    cross join cqrs_dead_letter l
        on l.queue = ?1 and l.next_attempt_at is not null
       and l.cqrs_id = substr(h.waits_for, 1, instr(h.waits_for, ' ') - 1)
       and l.instance_pk = substr(h.waits_for, instr(h.waits_for, ' ') + 1)
    limit ?3
)
select id, state, reason, attempts, created_at, next_attempt_at, message_id, routing_key, body,
       traceparent, counted, forced, waits_for, waits_until
from cqrs_dead_letter
where id in (select id from turn union select id from holding union select id from held)
order by cqrs_id, instance_pk, revision, id
