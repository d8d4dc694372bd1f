-- cqrs-outbox: record_replace
--
-- Writes an event in the place of one that this transaction has recorded.
update cqrs_outbox set signal = ?3, body = ?4, traceparent = ?5, forced = ?6, expires_at = ?7
where id = ?1 and message_id = ?2
