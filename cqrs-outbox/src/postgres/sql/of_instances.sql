-- cqrs-outbox: of_instances
-- Limited within each instance too, or one with a long backlog would be read whole for its first rows.
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, coalesce(expires_at <= statement_timestamp(), false), attempts
from (select distinct * from unnest($1::text[], $2::text[]) as named (named_id, named_pk)) as wanted
cross join lateral (
    select *
    from cqrs_outbox
    where cqrs_id = wanted.named_id collate "C" and instance_pk = wanted.named_pk collate "C"
        and next_attempt_at is null
    -- The order of the index on instances, and not of the primary key.
    order by 0 + id
    limit $3
) as found
order by id
limit $3
