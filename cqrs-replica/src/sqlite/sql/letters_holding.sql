-- cqrs-replica: letters_holding
-- The letters that hold these events: open ones, and dead ones. The cross joins keep the order of the
-- tables: there are few events, and may be many letters.
select i.key + 1, l.id, l.state, l.reason
from json_each(?2) i
cross join cqrs_dead_letter l
  on l.queue = ?1 and l.cqrs_id = i.value ->> 0 and l.instance_pk = i.value ->> 1
 and l.revision = i.value ->> 2 and l.next_attempt_at is not null
union all
select i.key + 1, l.id, l.state, l.reason
from json_each(?2) i
cross join cqrs_dead_letter l
  on l.queue = ?1 and l.cqrs_id = i.value ->> 0 and l.instance_pk = i.value ->> 1
 and l.revision = i.value ->> 2 and l.state = 'dead'
