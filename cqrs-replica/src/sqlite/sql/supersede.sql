-- cqrs-replica: supersede
update cqrs_dead_letter
set state = 'superseded', next_attempt_at = null,
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer)
where id in (
    select l.id from json_each(?2) i
    cross join cqrs_dead_letter l
        on l.queue = ?1 and l.cqrs_id = i.value ->> 0 and l.instance_pk = i.value ->> 1
       and l.revision <= i.value ->> 2 and l.next_attempt_at is not null)
