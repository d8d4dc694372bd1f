-- cqrs-outbox: record_live
--
-- Whether replicas may have the instance: what is filtered out then deletes it.
select exists (
    select 1 from cqrs_revision where cqrs_id = ?1 and instance_pk = ?2 and not deleted
)
