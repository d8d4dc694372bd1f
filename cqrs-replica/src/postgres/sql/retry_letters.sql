-- cqrs-replica: retry_letters
-- Named letters also while they are in backoff or wait for a row, and discarded ones; without names, the dead ones.
update cqrs_dead_letter
set state = 'retrying', attempts = 0, next_attempt_at = clock_timestamp(),
    updated_at = clock_timestamp(), published_at = null, publish_held_until = null
where queue = $1
  and case when $2::bigint[] is null then state = 'dead'
           else id = any($2) and (state = any(array['dead', 'retrying', 'discarded'])
                                  or (state = 'waiting' and reason = 'reference')) end
