-- Dead letters that the broker's queue of dead letters has as well, for the tools of django-cqrs.
-- When the broker confirmed it.
alter table cqrs_dead_letter add column published_at integer;
-- Until when the worker that publishes it has it to itself.
alter table cqrs_dead_letter add column publish_held_until integer;

-- What the broker does not have yet.
create index cqrs_dead_letter_unpublished on cqrs_dead_letter (queue, cqrs_id, id)
    where state = 'dead' and published_at is null;
