-- cqrs-outbox: dead_return
-- $1, $2 back to the outbox: id, and a body without expiry or null for the body as it is. $3 ids of
-- superseded rows. The new ids rise in the order of the old ones.
with taken as (
    delete from cqrs_outbox_dead as dead
    using unnest($1::bigint[], $2::bytea[]) as named (id, body)
    where dead.id = named.id
    returning
        dead.id, dead.message_id, dead.slot, dead.cqrs_id, dead.instance_pk, dead.signal,
        dead.queue, dead.revision, coalesce(named.body, dead.body) as body, dead.traceparent, dead.forced,
        dead.created_at, case when named.body is null then dead.expires_at end as expires_at
),
returned as (
    insert into cqrs_outbox (
        message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
        created_at, expires_at
    )
    select
        message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
        created_at, expires_at
    from taken
    order by id
    returning id
),
superseded as (
    update cqrs_outbox_dead set superseded = true where id = any ($3) returning id
)
select (select count(*) from returned), (select count(*) from superseded)
