-- cqrs-replica: others
-- Of each instance's open letters the first, the first after what is known, and those near the
-- messages in hand, these with the body where they may be one of these messages; not all, since
-- thousands may wait behind one. Then closed letters of the messages in hand: by their ids, and with the
-- body, since an id may have been given twice. Differs from PostgreSQL by necessity: there are no lateral
-- joins.
select i.key, l.id, l.state, l.reason, l.attempts, l.message_id, l.revision, null
from json_each(?2) i
join cqrs_dead_letter l on l.id = (
    select id from cqrs_dead_letter
    where queue = ?1 and cqrs_id = i.value ->> 0 and instance_pk = i.value ->> 1
      and next_attempt_at is not null
    order by revision limit 1)
union all
select i.key, l.id, l.state, l.reason, l.attempts, l.message_id, l.revision, null
from json_each(?2) i
join cqrs_dead_letter l on l.id = (
    select id from cqrs_dead_letter
    where queue = ?1 and cqrs_id = i.value ->> 0 and instance_pk = i.value ->> 1
      and next_attempt_at is not null and revision > i.value ->> 2
    order by revision limit 1)
union all
select i.key, l.id, l.state, l.reason, l.attempts, l.message_id, l.revision,
       iif(l.message_id is null or l.message_id in (select value from json_each(?3)), l.body, null)
from json_each(?2) i
cross join cqrs_dead_letter l
    on l.queue = ?1 and l.cqrs_id = i.value ->> 0 and l.instance_pk = i.value ->> 1
   and l.next_attempt_at is not null and l.revision between i.value ->> 3 and i.value ->> 4
union all
select null, l.id, l.state, l.reason, l.attempts, l.message_id, l.revision, l.body
from json_each(?3) m
cross join cqrs_dead_letter l on l.queue = ?1 and l.message_id = m.value
   and l.next_attempt_at is null
