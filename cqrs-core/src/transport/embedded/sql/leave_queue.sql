-- cqrs-core: leave_queue
DELETE FROM consumer WHERE id = ?1
