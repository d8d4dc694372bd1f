-- cqrs-replica: next_due
select (extract(epoch from min(next_attempt_at) - clock_timestamp()) * 1000000)::bigint
from cqrs_dead_letter
where queue = $1 and next_attempt_at is not null
