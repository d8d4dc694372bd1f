-- cqrs-replica: mark_published
-- The id by which it will be known again should it be imported. One that someone has retried in the
-- meantime is published anew should it die again.
update cqrs_dead_letter
set published_at = cast(unixepoch('now', 'subsec') * 1000000 as integer), publish_held_until = null,
    message_id = coalesce(message_id, p.message)
from (select value ->> 0 as letter, value ->> 1 as message from json_each(?2)) as p
where id = p.letter and queue = ?1 and state = 'dead'
