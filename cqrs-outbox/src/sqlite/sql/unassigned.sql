-- cqrs-outbox: unassigned
-- Rows that were recorded in SQL, where no slot can be computed. Their bodies are left alone: most
-- may be for others.
select id, cqrs_id, instance_pk
from cqrs_outbox indexed by cqrs_outbox_unassigned
where slot is null and id > ?1 and id <= ?2
order by id
limit ?3
