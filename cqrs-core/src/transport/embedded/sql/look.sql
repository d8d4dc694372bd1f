-- cqrs-core: look
-- Before a claim, since a claim needs the write lock: is the queue there, am I, is a message?
-- The last part passes over what consumers hold, which their prefetch bounds.
SELECT
    EXISTS (SELECT 1 FROM queue WHERE id = ?1),
    EXISTS (SELECT 1 FROM consumer WHERE id = ?2),
    EXISTS (SELECT 1 FROM entry WHERE queue_id = ?1 AND consumer_id IS NULL)
