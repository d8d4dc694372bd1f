-- cqrs-outbox: release
update cqrs_relay_lease as lease
set owner = null, epoch = lease.epoch + 1
from unnest($2::smallint[], $3::bigint[]) as held (slot, epoch)
where lease.slot = held.slot and lease.epoch = held.epoch and lease.owner = $1
