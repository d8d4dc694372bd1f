-- cqrs-replica: letters
select id, state, reason, error, fingerprint, attempts, next_attempt_at, created_at, updated_at,
       message_id, routing_key, body, cqrs_id, instance_pk, signal, revision, waits_for,
       published_at
from cqrs_dead_letter
where queue = ?1 and (?2 is null or id = ?2) and (?3 is null or state = ?3)
order by id desc limit ?4
