-- cqrs-replica: prune_letters
-- Letters that nothing is to be done about any more; dead ones stay until someone decides.
delete from cqrs_dead_letter
where id = any(array(
    select id from cqrs_dead_letter
    where queue = $1 and state = any(array['resolved', 'superseded', 'discarded'])
      and updated_at <= statement_timestamp() - $2 * interval '1 microsecond'
    limit $3
    for update skip locked))
