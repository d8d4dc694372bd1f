-- cqrs-core: insert_message
-- Once per message, whatever the number of queues.
INSERT INTO message (message_id, routing_key, recorded_at, traceparent, counted, forced, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
