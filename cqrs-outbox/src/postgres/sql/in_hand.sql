-- cqrs-outbox: in_hand
-- The revisions of instances, and whether events of them are still to be sent.
select i.instance_pk, r.revision,
       exists (select from cqrs_outbox o where o.cqrs_id = $1 and o.instance_pk = i.instance_pk)
from unnest($2::text[]) as i (instance_pk)
left join cqrs_revision r on r.cqrs_id = $1 and r.instance_pk = i.instance_pk collate "C"
