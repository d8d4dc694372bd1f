-- cqrs-replica: discard_letters
update cqrs_dead_letter
set state = 'discarded', updated_at = clock_timestamp()
where queue = $1 and state = 'dead' and ($2::bigint[] is null or id = any($2))
