-- cqrs-outbox: backlog
-- Counts up to ?1 and one more of each. The oldest are those with the lowest ids.
select
    count(*),
    (
        select count(*)
        from (
            select 1
            from cqrs_outbox indexed by cqrs_outbox_due
            where next_attempt_at is not null
            limit ?1 + 1
        )
    ),
    -- Negative times may be any, and the difference too large for an integer.
    cast(round(unixepoch('subsec') * 1000) as integer) * 1000 - max(min(created_at), 0),
    (select count(*) from (select 1 from cqrs_outbox_dead where not superseded limit ?1 + 1))
from (select created_at from cqrs_outbox order by id limit ?1 + 1)
