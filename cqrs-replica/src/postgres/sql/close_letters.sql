-- cqrs-replica: close_letters
update cqrs_dead_letter
set state = $2, next_attempt_at = null, updated_at = clock_timestamp()
where id = any($1)
