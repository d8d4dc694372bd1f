-- What record needs to make one event of all changes of an instance in one transaction, and the flag of
-- a sync that goes back.

alter table cqrs_revision
    -- The transaction that raised the revision last; null after anything else.
    add column xid xid8,
    -- Whether that revision began a life of the instance.
    add column began boolean not null default false;

alter table cqrs_outbox add column forced boolean not null default false;
alter table cqrs_outbox_dead add column forced boolean not null default false;
