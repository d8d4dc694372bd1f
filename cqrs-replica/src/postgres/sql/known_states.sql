-- cqrs-replica: known_states
-- What is known of instances, for comparing. Nothing is locked.
select instance_pk, revision, updated, deleted_at is not null, applied_at
from cqrs_replica_state
where queue = $1 and cqrs_id = $2 and instance_pk = any($3) and revision >= 0
