-- cqrs-core: claim
-- In one transaction with next_messages, which found exactly the free ones up to ?2. For a consumer
-- that peers have taken for dead it claims nothing: there would be no lease on it.
UPDATE entry SET consumer_id = ?3
WHERE queue_id = ?1 AND consumer_id IS NULL AND message <= ?2
  AND EXISTS (SELECT 1 FROM consumer WHERE id = ?3)
