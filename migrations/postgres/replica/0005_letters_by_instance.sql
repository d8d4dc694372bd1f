-- Tombstones are kept as long as letters that may be retried; letters that are done with are found by age.

-- Which dead letters an instance has. The second condition keeps the index out of statements that ask
-- for no instance.
create index cqrs_dead_letter_dead on cqrs_dead_letter (queue, cqrs_id, instance_pk, revision)
    where state = 'dead' and instance_pk is not null;
-- What has been done with for long. State first: where the tables are not analysed, an index of all letters
-- of a queue would be taken for that of a message.
create index cqrs_dead_letter_age on cqrs_dead_letter (state, queue, updated_at)
    where next_attempt_at is null;

-- The master's time of the end of the life before the present one: what is older belongs to that one. For
-- masters that do not count revisions.
alter table cqrs_replica_state add column ended timestamptz;
