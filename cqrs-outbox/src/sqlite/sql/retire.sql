-- cqrs-outbox: retire
delete from cqrs_relay where owner = ?1
