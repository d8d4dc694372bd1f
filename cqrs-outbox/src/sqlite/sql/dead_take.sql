-- cqrs-outbox: dead_take
-- The body only where it will be rewritten. What was refused when it was captured has none to send.
select
    exists (
        select 1 from cqrs_revision as known
        where known.cqrs_id = dead.cqrs_id
            and known.instance_pk = dead.instance_pk
            and known.revision > dead.revision
    ),
    case
        when dead.expires_at <= cast(round(unixepoch('subsec') * 1000) as integer) * 1000
            then dead.body
    end
from cqrs_outbox_dead as dead
where dead.id = ?1 and dead.body <> ''
