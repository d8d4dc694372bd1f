-- cqrs-replica: applied_revisions
-- How far instances are, in the order given; null for those of which nothing was applied. The tombstone
-- of a master that does not count says nothing of the revisions of one that does and came after it.
select s.revision
from unnest($2::text[], $3::text[]) with ordinality as i(cqrs_id, instance_pk, place)
left join lateral (
    select s.revision from cqrs_replica_state s
    where s.queue = $1 and s.cqrs_id = i.cqrs_id and s.instance_pk = i.instance_pk
      and s.revision >= 0 and (s.counted or s.deleted_at is null)
    offset 0
) s on true
order by i.place
