-- cqrs-outbox: command_forget
--
-- Some of the commands executed before a time.
delete from cqrs_command
where id in (select id from cqrs_command where executed_at < ?1 order by executed_at limit ?2)
