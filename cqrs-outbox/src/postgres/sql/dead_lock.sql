-- cqrs-outbox: dead_lock
-- Waits for those who are recording changes of the same instances, and holds them up until the rows
-- have their new ids: in the outbox the order of ids is the order of revisions. A statement of its
-- own, so that the next one sees what they recorded. Locked in the order that record uses.
select count(*)
from (
    select 1
    from cqrs_revision as known
    where (known.cqrs_id, known.instance_pk) in (
        select dead.cqrs_id, dead.instance_pk from cqrs_outbox_dead as dead where dead.id = any ($1)
    )
    order by known.cqrs_id, known.instance_pk
    for share of known
) as locked
