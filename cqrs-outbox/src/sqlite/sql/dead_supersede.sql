-- cqrs-outbox: dead_supersede
update cqrs_outbox_dead set superseded = 1 where id = ?1
