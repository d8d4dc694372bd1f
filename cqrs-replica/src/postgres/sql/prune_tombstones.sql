-- cqrs-replica: prune_tombstones
-- A row in a worker's hands is passed over; the next round finds it.
delete from cqrs_replica_state
where ctid = any(array(
    select ctid from cqrs_replica_state
    where queue = $1 and deleted_at is not null and deleted_at <= statement_timestamp() - $2 * interval '1 microsecond'
    order by deleted_at limit $3
    for update skip locked))
