-- What waits for a model that is paused.
create index cqrs_dead_letter_paused on cqrs_dead_letter (queue, cqrs_id, id)
    where state = 'waiting' and reason = 'paused';
