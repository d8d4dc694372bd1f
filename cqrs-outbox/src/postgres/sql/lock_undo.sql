-- cqrs-outbox: lock_undo
--
-- Takes back what lock.sql has made: the first event must still be revision 0, and there may be none.
delete from cqrs_revision where cqrs_id = $1 and instance_pk = any ($2::text[]) and revision = 0
