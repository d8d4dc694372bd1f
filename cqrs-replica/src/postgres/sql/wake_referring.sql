-- cqrs-replica: wake_referring
-- Letters that wait for instances which have just changed, and those that wait for these in turn, the
-- nearest first: one look may then take up a whole chain. Not more than one transaction should
-- change: each of them that is applied wakes the next. What is tried before its time for the sake of
-- another row loses no attempt. A letter in another session's hands is passed over: that session keeps
-- it only after it has locked the instance, which this one holds.
with recursive behind (id, instance, depth) as (
    select l.id, l.cqrs_id || ' ' || l.instance_pk, 1
    from unnest($2::text[]) as i(instance)
    cross join lateral (
        select * from cqrs_dead_letter
        where queue = $1 and waits_for = i.instance and waits_for is not null
          and next_attempt_at is not null and next_attempt_at > statement_timestamp()
        limit $3
    ) l
    union all
    select l.id, l.cqrs_id || ' ' || l.instance_pk, b.depth + 1
    from behind b
    cross join lateral (
        select * from cqrs_dead_letter
        where queue = $1 and waits_for = b.instance and waits_for is not null
          and next_attempt_at is not null and next_attempt_at > statement_timestamp()
        limit $3
    ) l
    where b.depth < $3
), nearest as (
    select id, min(depth) as depth from (select id, depth from behind limit $3) b group by id
), free as (
    select id from cqrs_dead_letter
    where id = any(array(select id from nearest)) and next_attempt_at is not null
    for update skip locked
)
update cqrs_dead_letter l
set next_attempt_at = statement_timestamp() - ($3 - n.depth) * interval '1 microsecond',
    attempts = greatest(l.attempts - (l.state = 'retrying')::integer, 0),
    updated_at = clock_timestamp()
from nearest n
where l.id = n.id and l.id = any(array(select id from free))
