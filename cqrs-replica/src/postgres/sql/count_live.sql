-- cqrs-replica: count_live
-- How many instances of a model are known to be live.
select count(*) from cqrs_replica_state
where queue = $1 and cqrs_id = $2 and deleted_at is null and revision >= 0
