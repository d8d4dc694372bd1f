-- cqrs-replica: wake
update cqrs_dead_letter
set next_attempt_at = cast(unixepoch('now', 'subsec') * 1000000 as integer),
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer)
where id in (select value from json_each(?1)) and state = 'waiting'
