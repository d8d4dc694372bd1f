-- cqrs-replica: retry_imported
-- A message imported to be tried again that stands here as a dead letter already.
update cqrs_dead_letter
set state = 'retrying', attempts = 0,
    next_attempt_at = cast(unixepoch('now', 'subsec') * 1000000 as integer),
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer), published_at = null,
    publish_held_until = null
where queue = ?1 and message_id = ?2 and next_attempt_at is null and state = 'dead'
  and cqrs_id is ?3 and instance_pk is ?4 and revision is ?5
