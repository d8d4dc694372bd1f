-- cqrs-outbox: record_restate
--
-- Says anew of instances, whose revisions this transaction has raised and holds, whether they are
-- live: $1 cqrs_id, $2 instance_pk, $3 deleted, $4 undone. What is undone gets its revision back. Of one
-- that had none the mark of record.sql stays: its row may be older than the outbox.
with named as (
    select *
    from unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[]) with ordinality
        as named (cqrs_id, instance_pk, deleted, undone, place)
),
lowered as (
    update cqrs_revision as known
    set revision = greatest(known.revision - 1, 0), deleted = true, began = known.revision = 0, xid = null
    from named
    where named.undone
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
    select * from lowered union all select * from restated
) as done
order by place
