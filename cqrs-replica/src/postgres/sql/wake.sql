-- cqrs-replica: wake
-- A letter in another session's hands is passed over: that session waits for the instance's lock,
-- which this one holds, and will see for itself.
update cqrs_dead_letter
set next_attempt_at = clock_timestamp(), updated_at = clock_timestamp()
where id = any(array(
    select id from cqrs_dead_letter
    where id = any($1) and next_attempt_at is not null and state = 'waiting'
    for update skip locked))
