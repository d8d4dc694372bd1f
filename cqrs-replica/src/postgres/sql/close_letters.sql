-- cqrs-replica: close_letters
-- What was applied in the end stands in the table: its letter needs no body any more.
update cqrs_dead_letter
set state = $2, next_attempt_at = null, body = case when $2 = 'resolved' then '' else body end,
    updated_at = clock_timestamp()
where id = any($1)
