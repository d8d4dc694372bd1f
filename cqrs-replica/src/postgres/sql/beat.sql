-- cqrs-replica: beat
-- One row per worker on the database's clock. That the queue was found gone is never unsaid here.
insert into cqrs_replica_worker as w (worker, queue, oldest_unacked, needs_reconcile, losses)
values ($1, $2, clock_timestamp() - $3 * interval '1 microsecond', $4::boolean, $4::boolean::int)
on conflict (worker) do update set
    beat_at = clock_timestamp(),
    oldest_unacked = excluded.oldest_unacked,
    needs_reconcile = w.needs_reconcile or excluded.needs_reconcile,
    losses = w.losses + excluded.losses
