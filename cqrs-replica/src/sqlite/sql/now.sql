-- cqrs-replica: now
-- The time, for batches in which no instance could be read.
select cast(unixepoch('now', 'subsec') * 1000000 as integer)
