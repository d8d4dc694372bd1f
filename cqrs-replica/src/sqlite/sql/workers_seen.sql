-- cqrs-replica: workers_seen
-- The workers' last signs of life in microseconds; one row without a worker tells the time.
select cast(unixepoch('now', 'subsec') * 1000000 as integer), w.beat_at, w.oldest_unacked
from (select ?1 as queue) q
left join cqrs_replica_worker w on w.queue = q.queue
