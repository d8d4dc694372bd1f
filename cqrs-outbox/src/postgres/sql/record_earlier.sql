-- cqrs-outbox: record_earlier
--
-- The events of these instances that this transaction has recorded at the revision it raised. Nobody
-- else sees them, so they may be replaced.
select
    row.id, row.message_id, row.cqrs_id, row.instance_pk, row.revision, row.signal, row.queue,
    row.body, row.traceparent, row.forced, row.expires_at, known.began
from unnest($1::text[], $2::text[]) as named (named_id, named_pk)
join cqrs_revision as known
    on known.cqrs_id = named.named_id collate "C" and known.instance_pk = named.named_pk collate "C"
cross join lateral (
    select *
    from cqrs_outbox
    where cqrs_id = known.cqrs_id and instance_pk = known.instance_pk
        and revision = known.revision and xid = known.xid
    -- The order of the index on instances, and not of the primary key.
    order by 0 + id
) as row
order by row.id
