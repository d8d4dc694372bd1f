-- cqrs-outbox: record_probe
--
-- Fails inside a transaction, which is what record wants; outside it succeeds and leaves nothing.
-- A full disk or an I/O error ends a transaction without sqlx noticing
-- (https://www.sqlite.org/lang_transaction.html), and SQL has no other way to ask.
begin; rollback
