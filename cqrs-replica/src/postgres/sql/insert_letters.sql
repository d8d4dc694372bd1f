-- cqrs-replica: insert_letters
insert into cqrs_dead_letter
    (queue, state, reason, error, fingerprint, attempts, next_attempt_at, message_id, routing_key,
     body, traceparent, counted, cqrs_id, instance_pk, signal, revision, forced,
     waits_for, waits_until)
select $1, l.* from unnest(
    $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::timestamptz[], $8::uuid[],
    $9::text[], $10::bytea[], $11::text[], $12::boolean[], $13::text[], $14::text[], $15::text[],
    $16::bigint[], $17::boolean[], $18::text[], $19::timestamptz[]) as l
