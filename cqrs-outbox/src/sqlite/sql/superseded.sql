-- cqrs-outbox: superseded
-- Whether a row is there, and if so, whether a later revision of its instance has been recorded.
select
    exists (
        select 1 from cqrs_revision as known
        where known.cqrs_id = row.cqrs_id
            and known.instance_pk = row.instance_pk
            and known.revision > row.revision
    )
from cqrs_outbox as row
where row.id = ?1 and row.message_id = ?2
