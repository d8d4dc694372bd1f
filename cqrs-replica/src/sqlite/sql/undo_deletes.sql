-- cqrs-replica: undo_deletes
-- Tombstones that a sync from the master, or a delete, is to replace. The revision stays, so that what is
-- late from before changes nothing meanwhile.
update cqrs_replica_state
set deleted_at = null
where queue = ?1 and cqrs_id = ?2 and instance_pk in (select value from json_each(?3))
  and deleted_at is not null
