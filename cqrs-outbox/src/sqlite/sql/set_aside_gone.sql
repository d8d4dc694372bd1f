-- cqrs-outbox: set_aside_gone
-- ?1 is [[id, what is wrong with the row], ...], all of which have been copied.
delete from cqrs_outbox where id in (select value ->> 0 from json_each(?1))
