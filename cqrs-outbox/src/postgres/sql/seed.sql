-- cqrs-outbox: seed
-- Revision 0 for instances that were never recorded, as of the moment that the reader sees. Whoever
-- records one just now has it, and is waited for.
insert into cqrs_revision as known (cqrs_id, instance_pk, revision, updated, deleted)
select $1, instance_pk, 0, timestamptz 'epoch' + $3 * interval '1 microsecond', false
from unnest($2::text[]) as named (instance_pk)
order by instance_pk collate "C"
on conflict do nothing
returning known.instance_pk, known.revision, (extract(epoch from known.updated) * 1000000)::bigint
