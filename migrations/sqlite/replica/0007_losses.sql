-- How often a worker has found its queue gone: a comparison that ends well takes back what it knew of when it began.
alter table cqrs_replica_worker add column losses integer not null default 0;
