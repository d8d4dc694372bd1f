-- cqrs-outbox: capture_entry
select model, form, statements, columns from cqrs_capture where cqrs_id = ?1
