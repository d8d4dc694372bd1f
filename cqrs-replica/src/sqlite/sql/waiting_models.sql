-- cqrs-replica: waiting_models
-- The models that letters wait for: paused ones, and those that no worker knows. Each is found by the
-- one before it, since of one model very many letters may wait.
with recursive paused (cqrs_id) as (
    select min(cqrs_id) from cqrs_dead_letter indexed by cqrs_dead_letter_paused
    where queue = ?1 and reason = 'paused' and state = 'waiting'
    union all
    select (select min(cqrs_id) from cqrs_dead_letter indexed by cqrs_dead_letter_paused
            where queue = ?1 and reason = 'paused' and state = 'waiting'
              and cqrs_id > m.cqrs_id)
    from paused m where m.cqrs_id is not null
), unknown (cqrs_id) as (
    select min(cqrs_id) from cqrs_dead_letter indexed by cqrs_dead_letter_unknown
    where queue = ?1 and next_attempt_at is not null and reason = 'unknown_model' and state = 'waiting'
    union all
    select (select min(cqrs_id) from cqrs_dead_letter indexed by cqrs_dead_letter_unknown
            where queue = ?1 and next_attempt_at is not null and reason = 'unknown_model' and state = 'waiting'
              and cqrs_id > m.cqrs_id)
    from unknown m where m.cqrs_id is not null
), first (id) as (
    select (select min(id) from cqrs_dead_letter indexed by cqrs_dead_letter_paused
                 where queue = ?1 and reason = 'paused' and state = 'waiting'
                   and cqrs_id = m.cqrs_id)
    from paused m where m.cqrs_id is not null
    union all
    select (select min(id) from cqrs_dead_letter indexed by cqrs_dead_letter_unknown
                 where queue = ?1 and next_attempt_at is not null and reason = 'unknown_model' and state = 'waiting'
                   and cqrs_id = m.cqrs_id)
    from unknown m where m.cqrs_id is not null
)
select l.cqrs_id, l.reason, cast(unixepoch('now', 'subsec') * 1000000 as integer) - l.created_at, l.error
from first f
join cqrs_dead_letter l on l.id = f.id
order by l.reason, l.cqrs_id
