-- cqrs-outbox: dead_discard
delete from cqrs_outbox_dead where id = any ($1)
