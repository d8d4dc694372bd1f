-- cqrs-outbox: backlog
-- Reads the whole outbox: for people, not for a loop.
select
    count(*),
    count(next_attempt_at),
    -- Negative times may be any, and the difference too large for an integer.
    cast(round(unixepoch('subsec') * 1000) as integer) * 1000 - max(min(created_at), 0),
    (select count(*) from cqrs_outbox_dead where not superseded)
from cqrs_outbox
