-- cqrs-replica: identity
-- Which server process this connection has; a number alone may be used again.
select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()
