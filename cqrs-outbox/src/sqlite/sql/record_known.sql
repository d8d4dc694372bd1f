-- cqrs-outbox: record_known
--
-- The revision of an instance that this transaction has raised, if no savepoint took it back.
select revision from cqrs_revision where cqrs_id = ?1 and instance_pk = ?2
