-- cqrs-core: bury
-- No row if it has renewed its lease in the meantime.
DELETE FROM consumer WHERE id = ?1 AND beat = ?2
