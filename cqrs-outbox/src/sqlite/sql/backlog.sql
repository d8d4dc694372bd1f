-- cqrs-outbox: backlog
-- Reads the whole outbox: for people, not for a loop.
select
    count(*),
    count(next_attempt_at),
    cast(round(unixepoch('subsec') * 1000) as integer) * 1000 - min(created_at),
    (select count(*) from cqrs_outbox_dead where not superseded)
from cqrs_outbox
