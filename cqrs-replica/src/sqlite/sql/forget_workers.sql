-- cqrs-replica: forget_workers
-- A worker that needs a reconcile is remembered until there has been one.
delete from cqrs_replica_worker
where beat_at < cast(unixepoch('now', 'subsec') * 1000000 as integer) - 3600000000
  and not needs_reconcile
