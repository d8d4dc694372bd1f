-- cqrs-core: renew
-- No row: a peer has taken this consumer for dead, or the queue is gone.
UPDATE consumer SET beat = beat + 1, expires_at = unixepoch('subsec') + ?2 WHERE id = ?1
