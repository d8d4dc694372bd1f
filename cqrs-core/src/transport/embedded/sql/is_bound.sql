-- cqrs-core: is_bound
-- Asked once per routing key and batch.
SELECT EXISTS (SELECT 1 FROM binding WHERE exchange_id = ?1 AND routing_key = ?2)
