-- cqrs-core: enqueue
-- The whole batch into all its queues. The transaction is the only writer, so every message from its
-- first one on is its own.
INSERT INTO entry (queue_id, message)
SELECT binding.queue_id, message.id
FROM message
JOIN binding ON binding.exchange_id = ?1 AND binding.routing_key = message.routing_key
WHERE message.id >= ?2
