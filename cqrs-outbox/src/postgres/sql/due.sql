-- cqrs-outbox: due
-- The last row answered has no id, but the seconds until the next row is due.
with due as materialized (
    select *
    from cqrs_outbox
    where next_attempt_at <= statement_timestamp() and slot = any ($1)
    order by next_attempt_at, id
    limit $2
)
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, coalesce(expires_at <= statement_timestamp(), false), attempts,
    null::double precision, next_attempt_at
from due
union all
select
    null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    case
        when (select count(*) from due) < $2 then (
            -- A time that somebody wrote may be infinite.
            select extract(
                epoch from least(next_attempt_at, statement_timestamp() + interval '1 year')
                    - statement_timestamp()
            )::double precision
            from cqrs_outbox
            where next_attempt_at > statement_timestamp() and slot = any ($1)
            order by next_attempt_at
            limit 1
        )
    end,
    null
order by 16, 1
