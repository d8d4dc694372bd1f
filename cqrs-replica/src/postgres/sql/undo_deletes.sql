-- cqrs-replica: undo_deletes
-- Tombstones that a sync from the master, or a delete, is to replace. The revision stays, so that what is
-- late from before changes nothing meanwhile. (Each key is looked up by itself, see known_states.)
update cqrs_replica_state as known
set deleted_at = null
from unnest($3::text[]) as named (pk)
where known.ctid = (
    select ctid from cqrs_replica_state
    where queue = $1 and cqrs_id = $2 and instance_pk = named.pk and deleted_at is not null
    offset 0
)
