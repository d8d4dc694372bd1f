-- cqrs-replica: letters_page
-- Letters in order, from behind ?2 on: in state ?3, of model ?4, reason ?5 and fingerprint ?6, each of
-- which may be null.
select id, state, reason, error, fingerprint, attempts, next_attempt_at, created_at, updated_at,
       message_id, routing_key, body, cqrs_id, instance_pk, signal, revision, waits_for,
       published_at
from cqrs_dead_letter
where queue = ?1 and id > ?2 and (?3 is null or state = ?3) and (?4 is null or cqrs_id = ?4)
  and (?5 is null or reason = ?5) and (?6 is null or fingerprint = ?6)
order by id limit ?7
