-- cqrs-outbox: record
--
-- Raises the revisions and writes the events, in one round trip and whatever their number.
--
-- `raised` locks the revision rows, one per instance, in key order, so that two calls with the same
-- instances in another order wait for each other instead of deadlocking. `on conflict` is the only
-- way to lock a row that another transaction inserted after this statement's snapshot. The clock is
-- read after the lock, and never contradicts the revision. Ids are drawn above the last sort, hence
-- after all locks and in input order; so id order is revision order is commit order.
--
-- A change that is filtered out (`only_live`) deletes what replicas may have. Of an instance that was never
-- recorded it leaves a mark, a row that is deleted and `began`: a dump or sync under way may still see the
-- row as it was, and must not give it a revision. Nothing was sent of what is marked, so its first event
-- does not raise the revision.
-- As `exists (...)` the planner would rather hash the whole table than look up a batch of keys.
--
-- With $16, an instance whose revision this transaction has raised before is left as it is and named
-- instead, without an id: its event will be replaced. `xid` tells, and `updated`, since the numbers of
-- transactions start again in a database that was dumped and restored. What a savepoint took back
-- has the older xid again.
--
-- The subquery in `on conflict` is a hashed subplan over the input: `excluded` has no column to say
-- that a revision is carried, not raised.
with input as (
    select *
    from unnest(
        $1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[],
        $8::bytea[], $9::bytea[], $10::text[], $11::bigint[], $12::boolean[], $13::boolean[],
        $14::boolean[], $15::boolean[]
    ) with ordinality as input(
        message_id, slot, cqrs_id, instance_pk, signal, queue, head,
        middle, tail, traceparent, ttl, leads, raises,
        only_live, forced, place
    )
),
raised as (
    insert into cqrs_revision as known
        (cqrs_id, instance_pk, revision, updated, deleted, began, xid)
    select
        cqrs_id, instance_pk, 0, clock_timestamp(), signal = 'DELETE', signal <> 'DELETE' or only_live,
        case when raises and not only_live then pg_current_xact_id() end
    from input
    where leads
      and (
          not only_live
          or coalesce((
              select not live.deleted
              from cqrs_revision as live
              where live.cqrs_id = input.cqrs_id and live.instance_pk = input.instance_pk
          ), true)
      )
    order by cqrs_id collate "C", instance_pk collate "C"
    on conflict (cqrs_id, instance_pk) do update set
        (revision, updated, began, xid) = (
            select
                case
                    when carried or known.deleted and known.began then known.revision
                    else known.revision + 1
                end,
                case when carried then known.updated
                     else greatest(clock_timestamp(), known.updated + interval '1 microsecond')
                end,
                case when carried then known.began else known.deleted and not excluded.deleted end,
                case when carried then known.xid else pg_current_xact_id() end
            from (
                select not known.deleted and (known.cqrs_id, known.instance_pk) in (
                    select cqrs_id, instance_pk from input where leads and not raises
                ) as carried
            ) as kind
        ),
        deleted = excluded.deleted
    where (
            not $16
            or known.xid is distinct from pg_current_xact_id()
            or known.updated < transaction_timestamp()
        )
        -- What is filtered out and deleted already is nothing.
        and not (known.deleted and excluded.deleted and excluded.began)
    returning
        known.cqrs_id, known.instance_pk, known.revision, known.updated,
        known.deleted and known.began as marked
),
written as (
    insert into cqrs_outbox (
        message_id, slot, cqrs_id, instance_pk, signal, queue, revision, traceparent, forced,
        expires_at, body
    )
    select
        message_id, slot, cqrs_id, instance_pk, signal, queue, revision, traceparent, forced,
        expires_at,
        head || convert_to(
            revision || ',"cqrs_updated":"'
            || replace(to_char(updated at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '.000000', '')
            || '+00:00',
            'UTF8'
        )
        || middle || convert_to(
            coalesce(
                to_char(expires_at at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS"+00:00\""'),
                'null'
            ),
            'UTF8'
        )
        || tail
    from input
    join raised using (cqrs_id, instance_pk)
    cross join lateral (
        -- Whole seconds, rounded up: never less than was asked for.
        select date_trunc('second', clock_timestamp() + ttl * interval '1 microsecond' + interval '999999 microseconds')
            as expires_at
    ) as life
    where not raised.marked
    order by place
    returning id, message_id, revision
)
select id, message_id, revision from written
union all
select null, message_id, null
from input
where $16
    and leads
    and case
        when (cqrs_id, instance_pk) in (select cqrs_id, instance_pk from raised) then false
        else (
            select known.xid = pg_current_xact_id() and known.updated >= transaction_timestamp()
            from cqrs_revision as known
            where known.cqrs_id = input.cqrs_id and known.instance_pk = input.instance_pk
        )
    end
