-- cqrs-replica: wake_referring
-- Letters that wait for instances which have just been applied, not more than one transaction
-- should change: each of them that is applied wakes the next.
update cqrs_dead_letter
set next_attempt_at = cast(unixepoch('now', 'subsec') * 1000000 as integer),
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer)
where id in (
    select l.id from json_each(?2) i
    cross join cqrs_dead_letter l
        on l.queue = ?1 and l.waits_for = i.value and l.next_attempt_at is not null
       and l.next_attempt_at > cast(unixepoch('now', 'subsec') * 1000000 as integer)
    limit ?3)
