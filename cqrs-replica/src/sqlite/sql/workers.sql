-- cqrs-replica: workers
select worker, started_at, now - beat_at, now - oldest_unacked, needs_reconcile
from cqrs_replica_worker,
     (select cast(unixepoch('now', 'subsec') * 1000000 as integer) as now)
where queue = ?1
order by started_at, worker
