-- cqrs-outbox: command_claim
--
-- Takes a command's id. Waits while another transaction that has taken it is open; changes no row if that
-- one commits.
insert into cqrs_command (id, name, fingerprint) values ($1, $2, $3)
on conflict (id) do nothing
