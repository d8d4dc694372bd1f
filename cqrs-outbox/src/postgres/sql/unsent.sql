-- cqrs-outbox: unsent
-- Which of these rows are still to be sent.
select id from cqrs_outbox where id = any ($1)
