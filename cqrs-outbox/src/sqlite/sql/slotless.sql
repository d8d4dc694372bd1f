-- cqrs-outbox: slotless
-- The instance of a row that has no slot yet.
select cqrs_id, instance_pk
from cqrs_outbox
where id = ?1 and message_id = ?2 and slot is null
