-- cqrs-replica: change_letters
update cqrs_dead_letter l
set state = c.state, reason = c.reason, error = coalesce(c.error, l.error),
    fingerprint = coalesce(c.fingerprint, l.fingerprint), attempts = c.attempts,
    next_attempt_at = c.next_attempt_at, waits_for = c.waits_for, waits_until = c.waits_until,
    updated_at = clock_timestamp()
from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[],
            $7::timestamptz[], $8::text[], $9::timestamptz[])
    as c(id, state, reason, error, fingerprint, attempts, next_attempt_at, waits_for, waits_until)
where l.id = c.id
