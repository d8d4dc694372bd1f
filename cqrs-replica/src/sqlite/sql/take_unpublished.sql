-- cqrs-replica: take_unpublished
-- Dead letters of these models that the broker does not have yet, held for a while: one that is not
-- marked as published by then is taken again, by whichever worker looks. The index is named, since
-- the planner would rather read all dead letters in their order.
update cqrs_dead_letter
set publish_held_until = cast(unixepoch('now', 'subsec') * 1000000 as integer) + ?4
where id in (
    select id from cqrs_dead_letter indexed by cqrs_dead_letter_unpublished
    where queue = ?1 and cqrs_id in (select value from json_each(?2)) and state = 'dead'
      and published_at is null and signal is not null
      and (publish_held_until is null
           or publish_held_until <= cast(unixepoch('now', 'subsec') * 1000000 as integer))
    order by id limit ?3)
returning id, state, reason, attempts, created_at, updated_at, message_id, routing_key, body,
          traceparent, counted, forced, waits_for, waits_until
