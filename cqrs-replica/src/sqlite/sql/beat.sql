-- cqrs-replica: beat
-- One row per worker. That the queue was found gone is never unsaid here.
insert into cqrs_replica_worker
    (worker, queue, started_at, beat_at, oldest_unacked, needs_reconcile, losses)
select ?1, ?2, now, now, now - ?3, ?4, ?4
from (select cast(unixepoch('now', 'subsec') * 1000000 as integer) as now)
where true
on conflict (worker) do update set
    beat_at = excluded.beat_at,
    oldest_unacked = excluded.oldest_unacked,
    needs_reconcile = max(needs_reconcile, excluded.needs_reconcile),
    losses = losses + excluded.losses
