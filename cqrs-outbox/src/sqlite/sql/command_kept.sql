-- cqrs-outbox: command_kept
select name, fingerprint, output, token from cqrs_command where id = ?1
