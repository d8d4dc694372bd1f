-- Whether a sync is to be applied over a later revision (`cqrs-forced`); a letter is judged by it again.
alter table cqrs_dead_letter add column forced boolean not null default false;
