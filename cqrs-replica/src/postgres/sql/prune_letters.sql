-- cqrs-replica: prune_letters
-- Letters that have been in a state for long; open ones are never deleted.
delete from cqrs_dead_letter
where id = any(array(
    select id from cqrs_dead_letter
    where queue = $1 and state = $2 and next_attempt_at is null
      and updated_at <= statement_timestamp() - $3 * interval '1 microsecond'
    order by updated_at limit $4
    for update skip locked))
