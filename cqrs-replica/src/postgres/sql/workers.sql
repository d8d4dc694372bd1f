-- cqrs-replica: workers
select worker, started_at, (extract(epoch from clock_timestamp() - beat_at) * 1000000)::bigint,
       (extract(epoch from clock_timestamp() - oldest_unacked) * 1000000)::bigint, needs_reconcile
from cqrs_replica_worker
where queue = $1
order by started_at, worker
