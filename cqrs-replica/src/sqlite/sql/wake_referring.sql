-- cqrs-replica: wake_referring
-- Letters that wait for instances which have just changed, and those that wait for these in turn, the
-- nearest first: one look may then take up a whole chain. Not more than one transaction should
-- change: each of them that is applied wakes the next. What is tried before its time for the sake of
-- another row loses no attempt.
with recursive behind (id, instance, depth) as (
    select l.id, l.cqrs_id || ' ' || l.instance_pk, 1
    from json_each(?2) i
    cross join cqrs_dead_letter l
        on l.queue = ?1 and l.waits_for = i.value and l.next_attempt_at is not null
       and l.next_attempt_at > cast(unixepoch('now', 'subsec') * 1000000 as integer)
    union all
    select l.id, l.cqrs_id || ' ' || l.instance_pk, b.depth + 1
    from behind b
    cross join cqrs_dead_letter l
        on l.queue = ?1 and l.waits_for = b.instance and l.next_attempt_at is not null
       and l.next_attempt_at > cast(unixepoch('now', 'subsec') * 1000000 as integer)
    where b.depth < ?3
    limit ?3
)
update cqrs_dead_letter
set next_attempt_at = cast(unixepoch('now', 'subsec') * 1000000 as integer) - (?3 - n.depth),
    attempts = max(attempts - (state = 'retrying'), 0),
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer)
from (select id, min(depth) as depth from behind group by id) n
where cqrs_dead_letter.id = n.id
