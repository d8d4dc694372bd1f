-- cqrs-replica: purge_letters
-- Letters that are dead or done with; never open ones.
delete from cqrs_dead_letter
where queue = ?1 and id in (select value from json_each(?2)) and next_attempt_at is null
