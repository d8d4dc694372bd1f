-- cqrs-outbox: blocked
select distinct cqrs_id, instance_pk
from cqrs_outbox indexed by cqrs_outbox_due
where next_attempt_at is not null and slot in (select value from json_each(?1))
