-- Whether a sync is to be applied over a later revision (`cqrs-forced`); a letter is judged by it again.
alter table cqrs_dead_letter add column forced integer not null default 0 check (forced in (0, 1));
