-- cqrs-replica: letters_holding
-- The letters that hold these events: open ones, and dead ones.
select i.place, l.id, l.state, l.reason
from unnest($2::text[], $3::text[], $4::bigint[])
    with ordinality as i(cqrs_id, instance_pk, revision, place)
cross join lateral (
    (select id, state, reason from cqrs_dead_letter
     where queue = $1 and cqrs_id = i.cqrs_id and instance_pk = i.instance_pk
       and revision = i.revision and next_attempt_at is not null
     order by id desc limit 1)
    union all
    (select id, state, reason from cqrs_dead_letter
     where queue = $1 and cqrs_id = i.cqrs_id and instance_pk = i.instance_pk
       and revision = i.revision and state = 'dead'
     order by id desc limit 1)
) l
