-- cqrs-outbox: of_instances
-- ?1 is [[cqrs_id, instance_pk], ...]. A cross join is done in the order written. Limited within each
-- instance too, or one with a long backlog would be read whole for its first rows.
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at,
    coalesce(expires_at <= cast(round(unixepoch('subsec') * 1000) as integer) * 1000, 0),
    attempts
from cqrs_outbox
where id in (
        select row.id
        from json_each(?1) as named
        cross join cqrs_outbox as row on row.id in (
            select id
            from cqrs_outbox indexed by cqrs_outbox_instance
            where cqrs_id = named.value ->> 0 and instance_pk = named.value ->> 1
                and next_attempt_at is null
            order by id
            limit ?2
        )
    )
order by id
limit ?2
