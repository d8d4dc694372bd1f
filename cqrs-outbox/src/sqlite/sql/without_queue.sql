-- cqrs-outbox: without_queue
-- How many of these rows found no queue.
select count(*) from cqrs_outbox_dead
where outbox_id in (select value from json_each(?1)) and reason = 'no_queue'
