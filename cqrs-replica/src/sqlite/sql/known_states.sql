-- cqrs-replica: known_states
-- What is known of instances, for comparing.
select instance_pk, revision, updated, deleted_at is not null, applied_at
from cqrs_replica_state
where queue = ?1 and cqrs_id = ?2 and instance_pk in (select value from json_each(?3)) and revision >= 0
