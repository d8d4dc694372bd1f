-- cqrs-outbox: record_restate
--
-- Says anew of instances, whose revisions this transaction has raised and holds, whether they are
-- live: $1 cqrs_id, $2 instance_pk, $3 deleted, $4 undone. What is undone gets its revision back; it
-- was not there or deleted before, or it would not have begun.
with named as (
    select *
    from unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[]) with ordinality
        as named (cqrs_id, instance_pk, deleted, undone, place)
),
removed as (
    delete from cqrs_revision as known
    using named
    where named.undone and known.revision = 0
        and known.cqrs_id = named.cqrs_id and known.instance_pk = named.instance_pk
    returning named.place, known.updated
),
lowered as (
    update cqrs_revision as known
    set revision = known.revision - 1, deleted = true, began = false, xid = null
    from named
    where named.undone and known.revision > 0
        and known.cqrs_id = named.cqrs_id and known.instance_pk = named.instance_pk
    returning named.place, known.updated
),
restated as (
    update cqrs_revision as known
    set deleted = named.deleted,
        updated = greatest(clock_timestamp(), known.updated + interval '1 microsecond')
    from named
    where not named.undone
        and known.cqrs_id = named.cqrs_id and known.instance_pk = named.instance_pk
    returning named.place, known.updated
)
select updated, clock_timestamp()
from (
    select * from removed union all select * from lowered union all select * from restated
) as done
order by place
