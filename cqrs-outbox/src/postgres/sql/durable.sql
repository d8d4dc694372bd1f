-- cqrs-outbox: durable
-- Whether all that was visible before this statement is on the disk: a commit is visible after its
-- record was inserted into the log, and with synchronous_commit = off before that was written out.
select pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()
