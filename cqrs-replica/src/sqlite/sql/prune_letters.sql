-- cqrs-replica: prune_letters
-- Letters that nothing is to be done about any more; dead ones stay until someone decides.
delete from cqrs_dead_letter
where id in (
    select id from cqrs_dead_letter
    where queue = ?1 and state in ('resolved', 'superseded', 'discarded')
      and updated_at <= cast(unixepoch('now', 'subsec') * 1000000 as integer) - ?2
    limit ?3)
