-- cqrs-replica: save
-- The rows exist; an insert that conflicts finds each by the primary key whatever the planner
-- knows of the table.
insert into cqrs_replica_state as s
    (queue, cqrs_id, instance_pk, revision, updated, deleted_at, counted, sync_id, ended)
select $1, i.cqrs_id, i.instance_pk, i.revision, i.updated,
       case when i.deleted then clock_timestamp() end, i.counted, i.sync_id, i.ended
from unnest($2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::boolean[], $7::boolean[],
            $8::uuid[], $9::timestamptz[])
    as i(cqrs_id, instance_pk, revision, updated, deleted, counted, sync_id, ended)
on conflict (queue, cqrs_id, instance_pk) do update set
    revision = excluded.revision,
    updated = excluded.updated,
    deleted_at = excluded.deleted_at,
    counted = excluded.counted,
    sync_id = excluded.sync_id,
    ended = excluded.ended,
    applied_at = clock_timestamp()
