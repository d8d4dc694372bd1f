-- cqrs-outbox: blocked
-- Not distinct: for that, a plan may read the index on instances from end to end.
select cqrs_id, instance_pk
from cqrs_outbox
where next_attempt_at is not null and slot = any ($1)
