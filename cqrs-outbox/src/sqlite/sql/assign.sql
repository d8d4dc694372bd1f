-- cqrs-outbox: assign
update cqrs_outbox set slot = ?3 where id = ?1 and message_id = ?2 and slot is null
