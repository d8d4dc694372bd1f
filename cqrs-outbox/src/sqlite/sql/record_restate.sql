-- cqrs-outbox: record_restate
--
-- Says anew of an instance, whose revision this transaction has raised, whether it is live.
update cqrs_revision set deleted = ?3, updated = max(?4, updated + 1)
where cqrs_id = ?1 and instance_pk = ?2
returning updated
