-- cqrs-replica: held_since
-- Since when a worker of the queue may have had messages that it has not acknowledged. One that has not been
-- heard of lately may have taken more since; after five minutes its messages have gone to others.
select min(case when beat_at > clock_timestamp() - interval '10 seconds' then oldest_unacked
                else least(oldest_unacked, beat_at) end)
from cqrs_replica_worker
where queue = $1 and beat_at > clock_timestamp() - interval '5 minutes'
