-- cqrs-replica: close_letters
update cqrs_dead_letter
set state = ?2, next_attempt_at = null,
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer)
where id in (select value from json_each(?1))
