-- cqrs-outbox: record_earlier
--
-- The events of an instance that this transaction has recorded at the revision it raised: with one
-- writer, all there are of it. Nobody else sees them, so they may be replaced.
select
    row.id, row.message_id, row.revision, row.signal, row.queue, row.body, row.traceparent,
    row.forced, row.expires_at, known.began
from cqrs_revision as known
join cqrs_outbox as row
    on row.cqrs_id = known.cqrs_id and row.instance_pk = known.instance_pk
        and row.revision = known.revision
where known.cqrs_id = ?1 and known.instance_pk = ?2
order by row.id
