-- cqrs-replica: close_letters
-- What was applied in the end stands in the table: its letter needs no body any more.
update cqrs_dead_letter
set state = ?2, next_attempt_at = null, body = iif(?2 = 'resolved', x'', body),
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer)
where id in (select value from json_each(?1))
