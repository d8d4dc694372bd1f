-- cqrs-replica: letters_of
-- The letters of instances that something may still come of.
select instance_pk, id, state <> 'dead'
from cqrs_dead_letter
where queue = ?1 and cqrs_id = ?2 and instance_pk in (select value from json_each(?3))
  and state in ('waiting', 'retrying', 'dead')
order by id
