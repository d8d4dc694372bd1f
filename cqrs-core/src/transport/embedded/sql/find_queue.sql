-- cqrs-core: find_queue
SELECT id FROM queue WHERE name = ?1
