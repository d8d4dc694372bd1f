-- cqrs-outbox: record_replace
--
-- Writes events of instances whose revision this transaction has raised before: with an id in their
-- place, so that the order of events of different instances stays, without as new rows.
with input as (
    select *
    from unnest(
        $1::bigint[], $2::uuid[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::bigint[], $9::bytea[], $10::text[], $11::boolean[], $12::timestamptz[]
    ) with ordinality as input(
        id, message_id, slot, cqrs_id, instance_pk, signal, queue,
        revision, body, traceparent, forced, expires_at, place
    )
),
replaced as (
    update cqrs_outbox as row
    set signal = input.signal, body = input.body, traceparent = input.traceparent,
        forced = input.forced, expires_at = input.expires_at
    from input
    where row.id = any ($1) and row.id = input.id and row.message_id = input.message_id
    returning row.id
),
added as (
    insert into cqrs_outbox (
        message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
        expires_at
    )
    select
        message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
        expires_at
    from input
    where id is null
    order by place
    returning id
)
select id
from (
    select input.place, input.id from input join replaced using (id)
    union all
    -- Ids are drawn in the order of places.
    select fresh.place, added.id
    from (select place, row_number() over (order by place) as nth from input where id is null) as fresh
    join (select id, row_number() over (order by id) as nth from added) as added using (nth)
) as done
order by place
