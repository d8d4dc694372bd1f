-- cqrs-core: peers
SELECT id, beat, expires_at < unixepoch('subsec') FROM consumer WHERE queue_id = ?1 AND id <> ?2
