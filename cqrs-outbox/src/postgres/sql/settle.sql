-- cqrs-outbox: settle
-- $1, $2 confirmed: id, message_id. $3, $4 held: slot, epoch. $5 to $9 put off: id, message_id,
-- attempts, seconds, error. $10 to $14 dead: id, message_id, attempts, reason, error. $15, $16
-- expired: id, message_id.
--
-- `id = any` says the same as the join, but leaves the planner no way to scan the table for it, which
-- looks cheap in a plan made while the table was empty.
with confirmed as (
    delete from cqrs_outbox as row
    using unnest($1::bigint[], $2::uuid[]) as named (id, message_id)
    where row.id = any ($1) and row.id = named.id and row.message_id = named.message_id
    returning row.id
),
kept as materialized (
    -- Locked, so that a slot is acquired by someone else either before this, and the row is left as
    -- it is, or after, and the new holder finds the row among the blocked.
    select lease.slot
    from cqrs_relay_lease as lease
    join unnest($3::smallint[], $4::bigint[]) as held (slot, epoch)
        on lease.slot = held.slot and lease.epoch = held.epoch
    where lease.slot in (select slot from cqrs_outbox where id = any ($5))
    order by lease.slot
    for share of lease
),
postponed as (
    update cqrs_outbox as row
    set attempts = named.attempts,
        next_attempt_at = clock_timestamp() + make_interval(secs => named.delay),
        last_error = named.error
    from unnest($5::bigint[], $6::uuid[], $7::integer[], $8::double precision[], $9::text[])
        as named (id, message_id, attempts, delay, error)
    where row.id = any ($5) and row.id = named.id and row.message_id = named.message_id
        and row.slot in (select slot from kept)
    returning row.id
),
failed as (
    delete from cqrs_outbox as row
    using unnest($10::bigint[], $11::uuid[], $12::integer[], $13::text[], $14::text[])
        as named (id, message_id, attempts, reason, error)
    where row.id = any ($10) and row.id = named.id and row.message_id = named.message_id
    returning
        row.id, row.message_id, row.slot, row.cqrs_id, row.instance_pk, row.signal, row.queue,
        row.revision, row.body, row.traceparent, row.forced, row.created_at, row.expires_at, named.attempts,
        named.reason, named.error
),
expired as (
    delete from cqrs_outbox as row
    using unnest($15::bigint[], $16::uuid[]) as named (id, message_id)
    where row.id = any ($15) and row.id = named.id and row.message_id = named.message_id
    returning
        row.id, row.message_id, row.slot, row.cqrs_id, row.instance_pk, row.signal, row.queue,
        row.revision, row.body, row.traceparent, row.forced, row.created_at, row.expires_at, row.attempts,
        row.last_error,
        exists (
            select from cqrs_revision
            where cqrs_revision.cqrs_id = row.cqrs_id
                and cqrs_revision.instance_pk = row.instance_pk
                and cqrs_revision.revision > row.revision
        ) as superseded
),
dead as (
    insert into cqrs_outbox_dead (
        outbox_id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
        created_at, expires_at, attempts, reason, error
    )
    select
        id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
        created_at, expires_at, attempts, reason, error
    from failed
    union all
    select
        id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
        created_at, expires_at, attempts, 'expired', last_error
    from expired
    where not superseded
    order by id
    returning id
)
select
    (select count(*) from confirmed),
    (select count(*) from postponed),
    (select count(*) from dead),
    (select count(*) from expired where superseded),
    array(
        select held.slot
        from unnest($3::smallint[], $4::bigint[]) as held (slot, epoch)
        left join cqrs_relay_lease as lease on lease.slot = held.slot
        where lease.epoch is distinct from held.epoch
        order by held.slot
    )
