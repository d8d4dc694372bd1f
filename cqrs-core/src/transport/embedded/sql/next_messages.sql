-- cqrs-core: next_messages
SELECT message.id, message.message_id, message.routing_key, message.traceparent, message.counted,
       message.forced, message.body, entry.redelivered
FROM entry
JOIN message ON message.id = entry.message
WHERE entry.queue_id = ?1 AND entry.consumer_id IS NULL
ORDER BY entry.message
LIMIT ?2
