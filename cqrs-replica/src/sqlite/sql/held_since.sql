-- cqrs-replica: held_since
-- Since when a worker of the queue may have had messages that it has not acknowledged. One that has not been
-- heard of lately may have taken more since; after five minutes its messages have gone to others.
select min(case when beat_at > n.now - 10000000 then oldest_unacked
                else min(coalesce(oldest_unacked, beat_at), beat_at) end)
from cqrs_replica_worker, (select cast(unixepoch('now', 'subsec') * 1000000 as integer) as now) as n
where queue = ?1 and beat_at > n.now - 300000000
