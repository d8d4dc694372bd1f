-- cqrs-outbox: in_hand
-- The revisions of instances, and whether events of them are still to be sent.
select i.value, r.revision,
       exists (select 1 from cqrs_outbox o where o.cqrs_id = ?1 and o.instance_pk = i.value)
from json_each(?2) as i
left join cqrs_revision r on r.cqrs_id = ?1 and r.instance_pk = i.value
