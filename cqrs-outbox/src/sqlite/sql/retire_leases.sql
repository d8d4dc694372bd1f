-- cqrs-outbox: retire_leases
update cqrs_relay_lease set owner = null, epoch = epoch + 1 where owner = ?1
