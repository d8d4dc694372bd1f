-- What record needs to make one event of all changes of an instance in one transaction, and the flag of
-- a sync that goes back. SQLite does not number transactions: `outbox::begin` remembers what was raised.

-- The revision at which the instance's present life began, or its last one if it is deleted.
alter table cqrs_revision add column born integer not null default 0 check (born >= 0);

alter table cqrs_outbox add column forced integer not null default 0 check (forced in (0, 1));
alter table cqrs_outbox_dead add column forced integer not null default 0 check (forced in (0, 1));
