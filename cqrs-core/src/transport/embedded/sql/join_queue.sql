-- cqrs-core: join_queue
INSERT INTO consumer (queue_id, expires_at) VALUES (?1, unixepoch('subsec') + ?2)
