-- cqrs-replica: discard_letters
update cqrs_dead_letter
set state = 'discarded', updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer)
where queue = ?1 and state = 'dead'
  and (?2 is null or id in (select value from json_each(?2)))
