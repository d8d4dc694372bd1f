-- cqrs-outbox: command_forget
--
-- Some of the commands executed longer than so many microseconds ago. Those that somebody repeats just
-- now are left for the next time.
delete from cqrs_command
where id = any (array(
    select id from cqrs_command
    where executed_at < clock_timestamp() - $1 * interval '1 microsecond'
    order by executed_at
    limit $2
    for update skip locked
))
