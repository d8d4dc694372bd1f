-- cqrs-replica: wake_referring
-- Letters that wait for instances which have just been applied, not more than one transaction
-- should change: each of them that is applied wakes the next. A letter in another session's hands
-- is passed over: that session keeps it only after it has locked the instance, which this one holds.
update cqrs_dead_letter
set next_attempt_at = clock_timestamp(), updated_at = clock_timestamp()
where id = any(array(
    select l.id
    from unnest($2::text[]) as i(instance)
    cross join lateral (
        select id from cqrs_dead_letter
        where queue = $1 and waits_for = i.instance and waits_for is not null
          and next_attempt_at is not null and next_attempt_at > statement_timestamp()
        limit $3
        for update skip locked
    ) l
    limit $3))
