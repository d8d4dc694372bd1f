-- cqrs-outbox: lock
--
-- Before a read of the current states: locks revisions in key order, and answers which it had to make
-- for that, since a row that does not exist cannot be locked. `do update ... where false` is the way to
-- lock a row that is there, also one that appears while this statement runs, without writing it.
insert into cqrs_revision as known (cqrs_id, instance_pk, revision, updated, deleted)
select $1, instance_pk, 0, clock_timestamp(), false
from unnest($2::text[]) as named (instance_pk)
order by instance_pk collate "C"
on conflict (cqrs_id, instance_pk) do update set revision = known.revision where false
returning instance_pk
