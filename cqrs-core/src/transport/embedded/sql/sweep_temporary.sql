-- cqrs-core: sweep_temporary
-- Temporary queues that nobody alive receives from. The name's beginning is transport::TEMPORARY.
DELETE FROM queue
WHERE name LIKE 'cqrs-temporary.%'
  AND NOT EXISTS (
    SELECT 1 FROM consumer
    WHERE consumer.queue_id = queue.id AND consumer.expires_at >= unixepoch('subsec')
  )
