-- cqrs-replica: prune_tombstones
-- One whose instance has letters that may be tried again stays: without it they would bring back what
-- was deleted.
delete from cqrs_replica_state
where (queue, cqrs_id, instance_pk) in (
    select s.queue, s.cqrs_id, s.instance_pk from cqrs_replica_state s
    where s.queue = ?1 and s.deleted_at is not null
      and s.deleted_at <= cast(unixepoch('now', 'subsec') * 1000000 as integer) - ?2
      and not exists (
          select 1 from cqrs_dead_letter l
          where l.queue = s.queue and l.cqrs_id = s.cqrs_id and l.instance_pk = s.instance_pk
            and l.next_attempt_at is not null)
      and not exists (
          select 1 from cqrs_dead_letter l
          where l.queue = s.queue and l.cqrs_id = s.cqrs_id and l.instance_pk = s.instance_pk
            and l.state = 'dead')
      and (s.cqrs_id, s.instance_pk) not in (
          select l.cqrs_id, l.instance_pk from cqrs_dead_letter l
          where l.queue = ?1 and l.state = 'discarded' and l.cqrs_id is not null and l.instance_pk is not null)
    order by s.deleted_at limit ?3)
