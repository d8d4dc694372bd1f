-- cqrs-replica: insert_letters
-- One at a time, since bodies are bytes and JSON has none.
insert into cqrs_dead_letter
    (queue, state, reason, error, fingerprint, attempts, next_attempt_at, message_id, routing_key,
     body, traceparent, counted, cqrs_id, instance_pk, signal, revision, forced, waits_for,
     waits_until, created_at, updated_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
        cast(unixepoch('now', 'subsec') * 1000000 as integer),
        cast(unixepoch('now', 'subsec') * 1000000 as integer))
