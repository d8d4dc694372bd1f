-- Whether a relay can do its work: the others take over the slots of one that cannot. One of an earlier
-- version does not say, and counts as one that can.
alter table cqrs_relay add column publishing integer not null default 1 check (publishing in (0, 1));
