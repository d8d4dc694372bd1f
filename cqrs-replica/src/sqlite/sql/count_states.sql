-- cqrs-replica: count_states
select count(*) filter (where deleted_at is null), count(*) filter (where deleted_at is not null)
from cqrs_replica_state
where queue = ?1 and revision >= 0
