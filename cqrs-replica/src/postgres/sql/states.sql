-- cqrs-replica: states
-- What is known of the instances just locked, in the order given; and whether the queue has letters that
-- are open, or done with, which most of the time it has not. The orders are those of indexes: for an
-- `exists` the planner would rather read a table in which many rows will do from its beginning.
select s.revision, s.updated, s.deleted_at is not null, s.counted, s.sync_id, clock_timestamp(),
       (
           select next_attempt_at from cqrs_dead_letter
           where queue = $1 and next_attempt_at is not null
           order by next_attempt_at limit 1
       ) is not null,
       (
           select message_id from cqrs_dead_letter
           where queue = $1 and next_attempt_at is null and message_id is not null
           order by message_id limit 1
       ) is not null,
       s.ended
from unnest($2::text[], $3::text[]) with ordinality as i(cqrs_id, instance_pk, place)
left join lateral (
    select * from cqrs_replica_state s
    where s.queue = $1 and s.cqrs_id = i.cqrs_id and s.instance_pk = i.instance_pk
    offset 0
) s on true
order by i.place
