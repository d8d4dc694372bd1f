-- cqrs-outbox: restore_leases
-- Slots that the table lacks: it was restored without its rows, or emptied. Epochs begin above all that
-- were there before, under which somebody may still act.
insert into cqrs_relay_lease (slot, epoch)
with recursive slot (number) as (select 0 union all select number + 1 from slot where number < 63)
select number, unixepoch() from slot where true
on conflict do nothing
