-- cqrs-outbox: remove
delete from cqrs_outbox where id = ?1 and message_id = ?2
