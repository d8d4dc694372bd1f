-- cqrs-replica: forget_deletes
-- Tombstones that a sync from the master is to replace, whatever its revision.
delete from cqrs_replica_state
where queue = $1 and cqrs_id = $2 and instance_pk = any($3) and deleted_at is not null
