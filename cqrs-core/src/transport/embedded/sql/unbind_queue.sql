-- cqrs-core: unbind_queue
DELETE FROM binding
WHERE exchange_id = (SELECT id FROM exchange WHERE name = ?1) AND routing_key = ?2 AND queue_id = ?3
