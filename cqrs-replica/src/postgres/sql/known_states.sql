-- cqrs-replica: known_states
-- What is known of instances, for comparing. Nothing is locked. Each is looked up by itself: for a list of
-- keys, and a table without statistics yet, the planner would rather read all states of the model.
select s.instance_pk, s.revision, s.updated, s.deleted_at is not null, s.applied_at
from unnest($3::text[]) as named (pk)
cross join lateral (
    select * from cqrs_replica_state
    where queue = $1 and cqrs_id = $2 and instance_pk = named.pk
    offset 0
) as s
where s.revision >= 0
