-- cqrs-outbox: dead_discard
-- ?1 is [id, ...].
delete from cqrs_outbox_dead where id in (select value from json_each(?1))
