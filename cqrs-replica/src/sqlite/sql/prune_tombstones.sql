-- cqrs-replica: prune_tombstones
delete from cqrs_replica_state
where (queue, cqrs_id, instance_pk) in (
    select queue, cqrs_id, instance_pk from cqrs_replica_state
    where queue = ?1 and deleted_at is not null
      and deleted_at <= cast(unixepoch('now', 'subsec') * 1000000 as integer) - ?2
    order by deleted_at limit ?3)
