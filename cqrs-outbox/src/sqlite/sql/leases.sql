-- cqrs-outbox: leases
select slot, owner, epoch from cqrs_relay_lease order by slot
