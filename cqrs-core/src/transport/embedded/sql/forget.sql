-- cqrs-core: forget
-- Acknowledged messages that are in no queue any more. A look into each queue by its primary key
-- costs less than an index by message on every entry.
DELETE FROM message
WHERE id IN (SELECT value FROM json_each(?1))
  AND NOT EXISTS (
    SELECT 1 FROM queue CROSS JOIN entry
    WHERE entry.queue_id = queue.id AND entry.message = message.id
  )
