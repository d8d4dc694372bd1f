-- cqrs-replica: lock
-- Locks the instances in the order given, making a row for each that has none. The update never
-- happens, so that a lock writes no new version of a row; it also returns nothing, so states.sql
-- follows, with a snapshot taken after the locks.
insert into cqrs_replica_state (queue, cqrs_id, instance_pk, revision, updated)
select $1, i.cqrs_id, i.instance_pk, -1, to_timestamp(0)
from unnest($2::text[], $3::text[]) with ordinality as i(cqrs_id, instance_pk, place)
order by i.place
on conflict (queue, cqrs_id, instance_pk) do update set revision = -1 where false
