-- cqrs-core: release
UPDATE entry SET consumer_id = NULL, redelivered = 1 WHERE consumer_id = ?1
