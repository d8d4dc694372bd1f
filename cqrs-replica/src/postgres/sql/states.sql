-- cqrs-replica: states
-- What is known of the instances just locked, in the order given.
select s.revision, s.updated, s.deleted_at is not null, s.counted, s.sync_id, clock_timestamp()
from unnest($2::text[], $3::text[]) with ordinality as i(cqrs_id, instance_pk, place)
left join lateral (
    select * from cqrs_replica_state s
    where s.queue = $1 and s.cqrs_id = i.cqrs_id and s.instance_pk = i.instance_pk
    offset 0
) s on true
order by i.place
