-- cqrs-core: adopt
-- Does nothing: it makes the driver take the transaction that `lock` has begun for one of its own,
-- which it rolls back when dropped.
SELECT 1
