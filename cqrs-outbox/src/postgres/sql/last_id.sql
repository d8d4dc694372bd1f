-- cqrs-outbox: last_id
-- The highest id that has been given.
select last_value from cqrs_outbox_id_seq
