-- cqrs-outbox: make_durable
-- A commit that waits for the log takes all before it along. The message is one for nobody: it makes
-- this transaction one that writes.
select pg_logical_emit_message(true, 'cqrs', '')
