-- cqrs-replica: supersede
-- A letter in another session's hands is passed over: that session waits for the instance's lock,
-- which this one holds, and will see for itself.
update cqrs_dead_letter
set state = 'superseded', next_attempt_at = null, updated_at = clock_timestamp()
where id = any(array(
    select l.id
    from unnest($2::text[], $3::text[], $4::bigint[]) as i(cqrs_id, instance_pk, revision)
    join cqrs_dead_letter l
      on l.queue = $1 and l.cqrs_id = i.cqrs_id and l.instance_pk = i.instance_pk
     and l.revision <= i.revision and l.next_attempt_at is not null
    for update of l skip locked))
