-- cqrs-replica: held
-- The oldest and the latest letter that waits for a paused model.
select (select min(id) from cqrs_dead_letter indexed by cqrs_dead_letter_paused
        where queue = ?1 and reason = 'paused' and state = 'waiting' and cqrs_id = ?2),
       (select max(id) from cqrs_dead_letter indexed by cqrs_dead_letter_paused
        where queue = ?1 and reason = 'paused' and state = 'waiting' and cqrs_id = ?2)
