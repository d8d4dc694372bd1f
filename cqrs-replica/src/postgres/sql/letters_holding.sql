-- cqrs-replica: letters_holding
-- The letters that hold these events. Dead ones have no index by instance: only the latest are looked
-- through, since what is waited for is young.
select i.place, l.id, l.state, l.reason
from unnest($2::text[], $3::text[], $4::bigint[])
    with ordinality as i(cqrs_id, instance_pk, revision, place)
cross join lateral (
    select id, state, reason from cqrs_dead_letter
    where queue = $1 and cqrs_id = i.cqrs_id and instance_pk = i.instance_pk
      and revision = i.revision and next_attempt_at is not null
    order by id desc limit 1
) l
union all
select i.place, d.id, d.state, d.reason
from (
    select id, state, reason, cqrs_id, instance_pk, revision from cqrs_dead_letter
    where queue = $1 and state = 'dead'
    order by id desc limit 1000
) d
join unnest($2::text[], $3::text[], $4::bigint[])
    with ordinality as i(cqrs_id, instance_pk, revision, place)
  on i.cqrs_id = d.cqrs_id and i.instance_pk = d.instance_pk and i.revision = d.revision
