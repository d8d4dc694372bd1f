-- cqrs-outbox: capture_remove
delete from cqrs_capture where cqrs_id = $1
