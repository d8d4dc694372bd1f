-- cqrs-outbox: lock_new
--
-- A row that does not exist cannot be locked, so it is made: record.sql carries its revision 0
-- instead of raising it.
insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted)
values ($1, $2, 0, clock_timestamp(), false)
on conflict do nothing
