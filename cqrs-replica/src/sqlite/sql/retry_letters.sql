-- cqrs-replica: retry_letters
-- Named letters also while they are in backoff or wait for a row, and discarded ones; without names, the dead ones.
update cqrs_dead_letter
set state = 'retrying', attempts = 0,
    next_attempt_at = cast(unixepoch('now', 'subsec') * 1000000 as integer),
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer), published_at = null,
    publish_held_until = null
where queue = ?1
  and case when ?2 is null then state = 'dead'
           else id in (select value from json_each(?2))
                and (state in ('dead', 'retrying', 'discarded') or (state = 'waiting' and reason = 'reference')) end
