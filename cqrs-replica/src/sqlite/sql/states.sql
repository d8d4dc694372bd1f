-- cqrs-replica: states
-- What is known of the instances, in the order given; and whether the queue has letters that are open, or
-- done with, which most of the time it has not. No lock: the transaction is the only writer.
select s.revision, s.updated, s.deleted_at is not null, s.counted, s.sync_id,
       cast(unixepoch('now', 'subsec') * 1000000 as integer),
       exists (select 1 from cqrs_dead_letter where queue = ?1 and next_attempt_at is not null),
       exists (
           select 1 from cqrs_dead_letter
           where queue = ?1 and message_id is not null and next_attempt_at is null
       ),
       s.ended
from json_each(?2) i
left join cqrs_replica_state s
  on s.queue = ?1 and s.cqrs_id = i.value ->> 0 and s.instance_pk = i.value ->> 1
order by i.key
