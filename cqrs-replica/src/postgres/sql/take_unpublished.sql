-- cqrs-replica: take_unpublished
-- Dead letters of these models that the broker does not have yet, held for a while: one that is not
-- marked as published by then is taken again, by whichever worker looks.
update cqrs_dead_letter
set publish_held_until = clock_timestamp() + $4 * interval '1 microsecond'
where id = any(array(
    select id from cqrs_dead_letter
    where queue = $1 and cqrs_id = any($2) and state = 'dead' and published_at is null
      and signal is not null
      and (publish_held_until is null or publish_held_until <= clock_timestamp())
    order by id limit $3
    for update skip locked))
returning id, state, reason, attempts, created_at, updated_at, message_id, routing_key, body,
          traceparent, counted, forced, waits_for, waits_until
