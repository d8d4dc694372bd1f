-- cqrs-outbox: unassigned
-- Rows that were recorded in SQL, where no slot can be computed. Their bodies are left alone: most
-- may be for others. ?4 are the models whose rows are left out.
select id, cqrs_id, instance_pk
from cqrs_outbox indexed by cqrs_outbox_unassigned
where slot is null and id > ?1 and id <= ?2
    and cqrs_id not in (select value from json_each(?4))
order by id
limit ?3
