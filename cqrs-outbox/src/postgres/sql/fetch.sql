-- cqrs-outbox: fetch
-- Ids become visible out of order, and deleted rows stay in the index while any snapshot may see
-- them, so neither a bare cursor nor a scan from the lowest id will do. A position is an id and a
-- snapshot: the rows up to the id that the snapshot shows have been returned. What comes next is
--   late: rows up to that id whose transaction the snapshot did not show, by the index on xid and
--     id + 0 (a sum, or a plan might scan the primary key up to that id);
--   fresh: rows past that id, in order, by the primary key.
-- A snapshot does not show the transactions in its xip and those from its xmax on. Of the former
-- only those that have ended are looked up, so that polls do not read an open bulk load over and over.
--
-- Late rows too many for one answer, those of a large transaction, are read whole once, for the lowest
-- ids. Then the position goes back to where they begin, and they are fresh. Rows that it has passed
-- before are left out: they are those up to an id that a snapshot shows. Meanwhile some rows are
-- returned ahead, from beyond all that was passed: such as need not wait, since they are the first
-- ones of their instances. Their ids are named afterwards, and then left out of the fresh ones.
--
-- Over deleted rows that a held snapshot keeps no index helps: a new series walks over all of them. That
-- may take longer than a statement may, so it can be done in parts, each up to an id.
--
-- pg_current_snapshot() is the very snapshot this statement reads with. The sequence is read after
-- it was taken, so no visible row has a higher id, and the next scan starts behind all dead ones.
--
-- $1 slots, $2 id, $3 snapshot; $4, $5 passed: id, snapshot; $6 rows and $7 bytes in the answer, $8 rows
-- of any slot to scan, $9 the highest id to scan; $10 ids returned ahead, $11 after which id to look
-- ahead, at $12 rows and for $13 bytes; $14 the models whose rows are left out.
-- The last row answered has no id, but what the next position is made of.
with bound as materialized (
    select
        pg_current_snapshot() as now,
        $3::text::pg_snapshot as seen,
        last_value as last_id,
        -- Somebody may have given a row an id past all of the sequence.
        case when last_value > $9 then $9 else 9223372036854775807 end as upto
    from cqrs_outbox_id_seq
),
passed as materialized (
    select one.upto, one.seen::pg_snapshot as seen
    from unnest($4::bigint[], $5::text[]) as one (upto, seen)
),
late as materialized (
    select * from (
        select
            candidate.*,
            sum(octet_length(body)) over (order by id) - octet_length(body) as bytes_before
        from (
            select * from (
                select
                    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body,
                    traceparent, forced, created_at, expires_at, attempts
                from cqrs_outbox
                where xid = any (array(
                        select ended
                        from bound, pg_snapshot_xip(bound.seen) as ended
                        where pg_visible_in_snapshot(ended, bound.now)
                    ))
                    and id + 0 <= $2
                    and slot = any ($1) and next_attempt_at is null and cqrs_id <> all ($14::text[])
                union all
                select
                    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body,
                    traceparent, forced, created_at, expires_at, attempts
                from cqrs_outbox
                where xid >= (select pg_snapshot_xmax(seen) from bound)
                    and xid < (select pg_snapshot_xmax(now) from bound)
                    and pg_visible_in_snapshot(xid, (select now from bound))
                    and id + 0 <= $2
                    and slot = any ($1) and next_attempt_at is null and cqrs_id <> all ($14::text[])
            ) as unseen
            order by id + 0
            limit $6
        ) as candidate
    ) as counted
    where bytes_before < $7
),
fresh as materialized (
    select * from (
        select
            candidate.*,
            (select coalesce(sum(octet_length(body)), 0) from late)
            + sum(octet_length(body)) over (order by id) - octet_length(body) as bytes_before
        from (
            select
                id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body,
                traceparent, forced, created_at, expires_at, attempts
            from (
                select *
                from cqrs_outbox
                where id > $2 and id <= (select upto from bound)
                order by id
                limit $8
            ) as scanned
            where slot = any ($1) and next_attempt_at is null and id <> all ($10::bigint[])
                and cqrs_id <> all ($14)
                and (
                    select count(*)
                    from passed
                    where scanned.id <= passed.upto and pg_visible_in_snapshot(scanned.xid, passed.seen)
                ) = 0
            order by id
            limit $6 - (select count(*) from late)
        ) as candidate
    ) as counted
    where bytes_before < $7
),
looked as materialized (
    select
        id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body,
        traceparent, forced, created_at, expires_at, attempts
    from (select * from cqrs_outbox where id > $11 order by id limit $8) as scanned
    where slot = any ($1) and next_attempt_at is null and cqrs_id <> all ($14)
    order by id
    limit $12
),
ahead as materialized (
    select * from (
        select
            looked.*,
            sum(octet_length(body)) over (order by id) - octet_length(body) as bytes_before
        from looked
        -- The fresh ones may have come this far themselves.
        where looked.id > (select coalesce(max(id), $2) from fresh)
        -- By the index on instances, which gives the first one first.
        and looked.id = (
            select own.id
            from cqrs_outbox as own
            where own.cqrs_id = looked.cqrs_id and own.instance_pk = looked.instance_pk
            order by 0 + own.id
            limit 1
        )
    ) as counted
    where bytes_before < $13
)
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, coalesce(expires_at <= statement_timestamp(), false), attempts,
    false, null::text, null::bigint, null::bigint, null::bigint, null::bigint[],
    null::timestamptz
from late
union all
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, coalesce(expires_at <= statement_timestamp(), false), attempts,
    false, null, null, null, null, null, null
from fresh
union all
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, coalesce(expires_at <= statement_timestamp(), false), attempts,
    true, null, null, null, null, null, null
from ahead
union all
select
    null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    now::text,
    last_id,
    -- The id at which the scan was cut, if not the answer.
    case
        when (select count(*) from late) + (select count(*) from fresh) < $6 then (
            select id from cqrs_outbox where id > $2 and id <= upto order by id offset $8 - 1 limit 1
        )
    end,
    (select max(id) from looked),
    -- Those that were returned ahead and are still there.
    array(select id from cqrs_outbox where id = any ($10)),
    pg_postmaster_start_time()
from bound
