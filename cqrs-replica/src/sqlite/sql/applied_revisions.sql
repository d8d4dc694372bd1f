-- cqrs-replica: applied_revisions
-- How far instances are, in the order given; null for those of which nothing was applied. The tombstone
-- of a master that does not count says nothing of the revisions of one that does and came after it.
select s.revision
from json_each(?2) i
left join cqrs_replica_state s
  on s.queue = ?1 and s.cqrs_id = i.value ->> 0 and s.instance_pk = i.value ->> 1
 and s.revision >= 0 and (s.counted or s.deleted_at is null)
order by i.key
