-- cqrs-outbox: release
update cqrs_relay_lease
set owner = null, epoch = epoch + 1
where slot = ?2 and epoch = ?3 and owner = ?1
