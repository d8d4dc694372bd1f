-- cqrs-outbox: record_remove
--
-- Rows of this transaction that nothing takes the place of.
delete from cqrs_outbox where id = any ($1::bigint[])
