-- cqrs-core: depth
-- What nobody holds, or nobody alive.
SELECT count(*) FROM entry
WHERE queue_id = ?1
  AND (consumer_id IS NULL OR NOT EXISTS (
    SELECT 1 FROM consumer
    WHERE consumer.id = entry.consumer_id AND consumer.expires_at >= unixepoch('subsec')
  ))
