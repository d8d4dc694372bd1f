-- cqrs-replica: letters_holding
-- The letters that hold these events. Dead ones have no index by instance: only the latest are looked
-- through, since what is waited for is young. The cross join keeps the order of the tables: there are few
-- events, and may be many letters.
select i.key + 1, l.id, l.state, l.reason
from json_each(?2) i
cross join cqrs_dead_letter l
  on l.queue = ?1 and l.cqrs_id = i.value ->> 0 and l.instance_pk = i.value ->> 1
 and l.revision = i.value ->> 2 and l.next_attempt_at is not null
union all
select i.key + 1, d.id, d.state, d.reason
from (
    select id, state, reason, cqrs_id, instance_pk, revision from cqrs_dead_letter
    where queue = ?1 and state = 'dead'
    order by id desc limit 1000
) d
join json_each(?2) i
  on i.value ->> 0 = d.cqrs_id and i.value ->> 1 = d.instance_pk and i.value ->> 2 = d.revision
