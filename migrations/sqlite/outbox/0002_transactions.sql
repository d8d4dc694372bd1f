-- What record needs to make one event of all changes of an instance in one transaction, and the flag of
-- a sync that goes back. SQLite does not number transactions: `outbox::begin` remembers what was raised.

-- Whether the revision began a life of the instance.
alter table cqrs_revision add column began integer not null default 0 check (began in (0, 1));

alter table cqrs_outbox add column forced integer not null default 0 check (forced in (0, 1));
alter table cqrs_outbox_dead add column forced integer not null default 0 check (forced in (0, 1));
