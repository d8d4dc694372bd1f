-- cqrs-core: acknowledge
-- Only what this consumer still holds: fewer rows than asked for mean that the lease was lost.
DELETE FROM entry
WHERE queue_id = ?1 AND consumer_id = ?2 AND message IN (SELECT value FROM json_each(?3))
