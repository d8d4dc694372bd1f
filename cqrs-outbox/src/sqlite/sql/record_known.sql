-- cqrs-outbox: record_known
--
-- Which of these instances, ?1 is [[cqrs_id, instance_pk], ...], have a revision that was raised by a
-- row after ?2: by this transaction, in SQL or not. A sync may carry the revision of another one.
select distinct named.key
from json_each(?1) as named
cross join cqrs_outbox as row indexed by cqrs_outbox_instance
    on row.cqrs_id = named.value ->> 0 and row.instance_pk = named.value ->> 1 and row.id > ?2
cross join cqrs_revision as known
    on known.cqrs_id = row.cqrs_id and known.instance_pk = row.instance_pk
        and known.revision = row.revision
where row.signal <> 'SYNC'
