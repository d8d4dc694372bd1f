-- cqrs-replica: save
insert into cqrs_replica_state
    (queue, cqrs_id, instance_pk, revision, updated, deleted_at, counted, sync_id, applied_at, ended)
select ?1, i.value ->> 0, i.value ->> 1, i.value ->> 2, i.value ->> 3,
       iif(i.value ->> 4, cast(unixepoch('now', 'subsec') * 1000000 as integer), null), i.value ->> 5,
       i.value ->> 6, cast(unixepoch('now', 'subsec') * 1000000 as integer), i.value ->> 7
from json_each(?2) i
where true
on conflict (queue, cqrs_id, instance_pk) do update set
    revision = excluded.revision,
    updated = excluded.updated,
    deleted_at = excluded.deleted_at,
    counted = excluded.counted,
    sync_id = excluded.sync_id,
    applied_at = excluded.applied_at,
    ended = excluded.ended
