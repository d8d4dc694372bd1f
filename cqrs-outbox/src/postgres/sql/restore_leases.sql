-- cqrs-outbox: restore_leases
-- Slots that the table lacks: it was restored without its rows, or emptied. Epochs begin above all that
-- were there before, under which somebody may still act.
insert into cqrs_relay_lease (slot, epoch)
select number, extract(epoch from clock_timestamp())::bigint
from generate_series(0, 63) as slot (number)
on conflict do nothing
