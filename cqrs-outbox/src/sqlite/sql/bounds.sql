-- cqrs-outbox: bounds
-- Two subqueries, since SQLite looks up one end of an index, but scans for both.
select
    (select min(id) from cqrs_outbox where id > ?1),
    (select max(id) from cqrs_outbox)
