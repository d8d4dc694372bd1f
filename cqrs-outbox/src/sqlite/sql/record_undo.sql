-- cqrs-outbox: record_undo
--
-- Gives an instance that was deleted before this transaction its revision back; lock_undo.sql is
-- for one that was not there.
update cqrs_revision set revision = revision - 1, deleted = 1, began = 0
where cqrs_id = ?1 and instance_pk = ?2 and revision > 0
