-- cqrs-replica: import_letter
-- A message out of the broker's queue of dead letters, unless it has been a letter before. The broker
-- had it, so it is not published there again before it has been retried. No row: there is one already,
-- of the same event: an id may have been given twice, and in the body the attempts are counted.
insert into cqrs_dead_letter
    (queue, state, reason, error, attempts, next_attempt_at, message_id, routing_key, body,
     traceparent, counted, forced, cqrs_id, instance_pk, signal, revision, published_at)
select $1, case when $2 then 'retrying' else 'dead' end, 'imported', $3,
       case when $2 then 0 else $4 end, case when $2 then clock_timestamp() end, $5, $6, $7, $8, $9,
       $10, $11, $12, $13, $14, case when not $2 then clock_timestamp() end
where not exists (
    select 1 from cqrs_dead_letter
    where queue = $1 and message_id = $5 and next_attempt_at is null
      and cqrs_id is not distinct from $11 and instance_pk is not distinct from $12
      and revision is not distinct from $14 and ($14 is not null or body = $7)
    union all
    select 1 from cqrs_dead_letter
    where queue = $1 and message_id = $5 and cqrs_id = $11 and instance_pk = $12
      and revision = $14 and next_attempt_at is not null)
returning id
