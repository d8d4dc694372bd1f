-- cqrs-outbox: backlog
-- Reads the whole outbox: for people, not for a loop.
select
    count(*),
    count(next_attempt_at),
    extract(epoch from statement_timestamp() - min(created_at) filter (where isfinite(created_at)))::double precision,
    (select count(*) from cqrs_outbox_dead where not superseded)
from cqrs_outbox
