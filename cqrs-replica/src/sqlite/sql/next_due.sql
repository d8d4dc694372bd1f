-- cqrs-replica: next_due
select min(next_attempt_at) - cast(unixepoch('now', 'subsec') * 1000000 as integer)
from cqrs_dead_letter
where queue = ?1 and next_attempt_at is not null
