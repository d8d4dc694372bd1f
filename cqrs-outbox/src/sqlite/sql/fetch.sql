-- cqrs-outbox: fetch
-- One writer at a time gives ids in the order of commits, and deleted rows leave nothing behind: a
-- bare cursor is exact. ?2 and ?3 bound the ids, so that a long backlog of other slots' rows does
-- not make one statement long; ?4 rows and ?5 bytes the answer. ?6 are the ids of rows without a slot
-- that are of these slots: see unassigned.sql. ?7 are the models whose rows are left out.
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at,
    coalesce(expires_at <= cast(round(unixepoch('subsec') * 1000) as integer) * 1000, 0),
    attempts
from (
    select
        *,
        sum(octet_length(body)) over (order by id rows unbounded preceding) - octet_length(body)
            as bytes_before
    from (
        select *
        from cqrs_outbox
        where id > ?2 and id <= ?3
            and (
                slot in (select value from json_each(?1)) or id in (select value from json_each(?6))
            )
            and next_attempt_at is null
            and cqrs_id not in (select value from json_each(?7))
        order by id
        limit ?4
    )
)
where bytes_before < ?5
order by id
