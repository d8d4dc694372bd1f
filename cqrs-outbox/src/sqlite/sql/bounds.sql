-- cqrs-outbox: bounds
-- Subqueries, since SQLite looks up one end of an index, but scans for both.
select
    (select min(id) from cqrs_outbox where id > ?1),
    (select max(id) from cqrs_outbox),
    exists (
        select 1 from cqrs_outbox indexed by cqrs_outbox_unassigned where slot is null and id > ?1
    )
