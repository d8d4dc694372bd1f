-- cqrs-replica: mark_published
-- The id by which it will be known again should it be imported. One that someone has retried in the
-- meantime is published anew should it die again.
update cqrs_dead_letter l
set published_at = clock_timestamp(), publish_held_until = null,
    message_id = coalesce(l.message_id, p.message_id)
from unnest($2::bigint[], $3::uuid[]) as p(id, message_id)
where l.id = p.id and l.queue = $1 and l.state = 'dead'
