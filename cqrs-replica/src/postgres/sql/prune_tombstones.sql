-- cqrs-replica: prune_tombstones
-- A row in a worker's hands is passed over; the next round finds it. One whose instance has letters that
-- may be tried again stays: without it they would bring back what was deleted.
delete from cqrs_replica_state
where ctid = any(array(
    select s.ctid from cqrs_replica_state s
    where s.queue = $1 and s.deleted_at is not null
      and s.deleted_at <= statement_timestamp() - $2 * interval '1 microsecond'
      and not exists (
          select from cqrs_dead_letter l
          where l.queue = s.queue and l.cqrs_id = s.cqrs_id and l.instance_pk = s.instance_pk
            and l.next_attempt_at is not null)
      and not exists (
          select from cqrs_dead_letter l
          where l.queue = s.queue and l.cqrs_id = s.cqrs_id and l.instance_pk = s.instance_pk
            and l.state = 'dead')
      and (s.cqrs_id, s.instance_pk) not in (
          select l.cqrs_id, l.instance_pk from cqrs_dead_letter l
          where l.queue = $1 and l.state = 'discarded' and l.cqrs_id is not null and l.instance_pk is not null)
    order by s.deleted_at limit $3
    for update of s skip locked))
