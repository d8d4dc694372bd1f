-- cqrs-replica: end_process
-- Ends the server process of a connection that was given up in the middle of a statement: it would
-- go on, and hold its locks, until the statement ends.
select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2
