-- cqrs-outbox: unsent
-- Which of these rows are still to be sent.
select id from cqrs_outbox where id in (select value from json_each(?1))
