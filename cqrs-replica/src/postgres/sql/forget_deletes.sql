-- cqrs-replica: forget_deletes
-- Tombstones that a sync from the master is to replace, whatever its revision. (Each key is looked up by
-- itself, see known_states.)
delete from cqrs_replica_state as known
using unnest($3::text[]) as named (pk)
where known.ctid = (
    select ctid from cqrs_replica_state
    where queue = $1 and cqrs_id = $2 and instance_pk = named.pk and deleted_at is not null
    offset 0
)
