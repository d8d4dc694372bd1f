-- cqrs-core: bind_queue
INSERT INTO binding (exchange_id, routing_key, queue_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING
