-- cqrs-outbox: acquire
-- Locks the holders' heartbeats if they are still those of the census, so that a holder either
-- renewed before, and keeps its slots, or sees in its next census that they are gone.
with holder as materialized (
    select relay.owner
    from cqrs_relay as relay
    join unnest($4::uuid[], $5::bigint[]) as seen (owner, beat)
        on relay.owner = seen.owner and relay.beat = seen.beat
    order by relay.owner
    for update of relay
),
free as materialized (
    -- Locked in one order, or two acquirers could wait for each other.
    select lease.slot
    from cqrs_relay_lease as lease
    join unnest($2::smallint[], $3::bigint[]) as seen (slot, epoch)
        on lease.slot = seen.slot and lease.epoch = seen.epoch
    where lease.owner is null
        or lease.owner in (select owner from holder)
        or not exists (select from cqrs_relay where cqrs_relay.owner = lease.owner)
    order by lease.slot
    for update of lease
)
update cqrs_relay_lease as lease
set owner = $1, epoch = lease.epoch + 1
from free
where lease.slot = free.slot
returning lease.slot, lease.epoch
