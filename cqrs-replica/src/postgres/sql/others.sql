-- cqrs-replica: others
-- Of each instance's open letters the first, the first after what is known, and those near the
-- messages in hand, these with the body where they may be one of these messages; not all, since
-- thousands may wait behind one. Then closed letters of the messages in hand: by their ids, and with the
-- body, since an id may have been given twice. No lock: letters of an instance change under the lock of
-- its state.
select i.place, l.*
from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
    with ordinality as i(cqrs_id, instance_pk, known, low, high, place)
cross join lateral (
    (select id, state, reason, attempts, message_id, revision, null::bytea as body
     from cqrs_dead_letter
     where queue = $1 and cqrs_id = i.cqrs_id and instance_pk = i.instance_pk
       and next_attempt_at is not null
     order by revision limit 1)
    union all
    (select id, state, reason, attempts, message_id, revision, null::bytea as body
     from cqrs_dead_letter
     where queue = $1 and cqrs_id = i.cqrs_id and instance_pk = i.instance_pk
       and next_attempt_at is not null and revision > i.known
     order by revision limit 1)
    union all
    (select id, state, reason, attempts, message_id, revision,
            case when message_id is null or message_id = any($7) then body end
     from cqrs_dead_letter
     where queue = $1 and cqrs_id = i.cqrs_id and instance_pk = i.instance_pk
       and next_attempt_at is not null and revision between i.low and i.high)
) l
union all
select null, id, state, reason, attempts, message_id, revision, body from cqrs_dead_letter
where queue = $1 and message_id = any($7) and next_attempt_at is null
