-- cqrs-outbox: of_instances
-- ?1 is [[cqrs_id, instance_pk], ...]. A cross join is done in the order written.
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at,
    coalesce(expires_at <= cast(round(unixepoch('subsec') * 1000) as integer) * 1000, 0),
    attempts
from cqrs_outbox
where id in (
        select row.id
        from json_each(?1) as named
        cross join cqrs_outbox as row indexed by cqrs_outbox_instance
            on row.cqrs_id = named.value ->> 0 and row.instance_pk = named.value ->> 1
        where row.next_attempt_at is null
    )
order by id
limit ?2
