-- cqrs-outbox: backlog
-- Counts up to $1 and one more of each. The oldest are those with the lowest ids, more or less.
with first as materialized (
    select created_at from cqrs_outbox order by id limit $1 + 1
)
select
    count(*),
    (
        select count(*)
        from (select from cqrs_outbox where next_attempt_at is not null limit $1 + 1) as retrying
    ),
    extract(
        epoch from statement_timestamp() - min(created_at) filter (where isfinite(created_at))
    )::double precision,
    (select count(*) from (select from cqrs_outbox_dead where not superseded limit $1 + 1) as dead)
from first
