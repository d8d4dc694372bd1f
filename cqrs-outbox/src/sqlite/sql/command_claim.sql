-- cqrs-outbox: command_claim
--
-- Takes a command's id; changes no row if it was executed before. The transaction has the write lock.
insert into cqrs_command (id, name, fingerprint, executed_at) values (?1, ?2, ?3, ?4)
on conflict (id) do nothing
