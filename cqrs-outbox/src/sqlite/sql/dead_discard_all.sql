-- cqrs-outbox: dead_discard_all
delete from cqrs_outbox_dead
