-- cqrs-replica: workers_seen
-- The workers' last signs of life in microseconds; one row without a worker tells the time.
select (extract(epoch from clock_timestamp()) * 1000000)::bigint,
       (extract(epoch from w.beat_at) * 1000000)::bigint,
       (extract(epoch from w.oldest_unacked) * 1000000)::bigint
from (select $1::text as queue) q
left join cqrs_replica_worker w on w.queue = q.queue
