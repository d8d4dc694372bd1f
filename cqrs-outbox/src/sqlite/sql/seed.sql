-- cqrs-outbox: seed
-- Revision 0 for instances that were never recorded.
insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted)
select ?1, value, 0, ?3, 0 from json_each(?2) where true
on conflict do nothing
