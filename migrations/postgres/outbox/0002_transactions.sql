-- What record needs to make one event of all changes of an instance in one transaction, and the flag of
-- a sync that goes back.

alter table cqrs_revision
    -- The transaction that raised the revision last; null after anything else.
    add column xid xid8,
    -- The revision at which the instance's present life began, or its last one if it is deleted.
    add column born bigint not null default 0 check (born >= 0);

alter table cqrs_outbox add column forced boolean not null default false;
alter table cqrs_outbox_dead add column forced boolean not null default false;
