-- cqrs-outbox: lock_undo
--
-- There was nothing to record after all: the first event must still be revision 0.
delete from cqrs_revision where cqrs_id = ?1 and instance_pk = ?2 and revision = 0
