-- cqrs-outbox: lock
--
-- Before a read of the current state. The write lock of the whole database is what keeps others
-- out; this takes it, and makes revision 0 for an instance that has none.
insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted)
values (?1, ?2, 0, ?3, 0)
on conflict do nothing
