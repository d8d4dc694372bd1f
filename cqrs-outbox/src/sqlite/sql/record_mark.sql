-- cqrs-outbox: record_mark
--
-- The highest id that the outbox has given so far. Who holds the write lock knows by it which rows
-- are its own.
select coalesce(max(seq), 0) from sqlite_sequence where name = 'cqrs_outbox'
