-- cqrs-outbox: lock
--
-- Before a read of the current state; see lock_new.sql for an instance that has no revision yet.
select from cqrs_revision where cqrs_id = $1 and instance_pk = $2 for update
