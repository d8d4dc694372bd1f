-- cqrs-replica: now
-- The time, for batches in which no instance could be read.
select clock_timestamp()
