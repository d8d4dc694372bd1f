-- Dead letters that the broker's queue of dead letters has as well, for the tools of django-cqrs.
alter table cqrs_dead_letter
    -- When the broker confirmed it.
    add column published_at timestamptz,
    -- Until when the worker that publishes it has it to itself.
    add column publish_held_until timestamptz;

-- What the broker does not have yet.
create index cqrs_dead_letter_unpublished on cqrs_dead_letter (queue, cqrs_id, id)
    where state = 'dead' and published_at is null;
