-- cqrs-replica: forget_workers
-- A worker that needs a reconcile is remembered until there has been one.
delete from cqrs_replica_worker
where beat_at < clock_timestamp() - interval '1 hour' and not needs_reconcile
