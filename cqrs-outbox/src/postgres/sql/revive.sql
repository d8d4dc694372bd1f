-- cqrs-outbox: revive
-- A new life for instances that are there though they were recorded as deleted. Locked in key order,
-- as record does.
with locked as (
    select known.cqrs_id, known.instance_pk
    from unnest($2::text[], $3::bigint[]) as named (instance_pk, revision)
    join cqrs_revision as known
        on known.cqrs_id = $1 and known.instance_pk = named.instance_pk
        and known.revision = named.revision and known.deleted
    order by known.instance_pk
    for update of known
)
update cqrs_revision as known
set
    revision = known.revision + 1,
    updated = greatest(
        timestamptz 'epoch' + $4 * interval '1 microsecond', known.updated + interval '1 microsecond'
    ),
    deleted = false,
    began = true,
    xid = null
from locked
where known.cqrs_id = locked.cqrs_id and known.instance_pk = locked.instance_pk
returning known.instance_pk, known.revision, (extract(epoch from known.updated) * 1000000)::bigint
