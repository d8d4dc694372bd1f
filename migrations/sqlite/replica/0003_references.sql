-- A message whose row refers to one that has not come waits for it.
-- The instance that it waits for: `cqrs_id`, a space, the canonical key. Null where the table
-- referred to belongs to no table model: such a letter is looked at again and again.
alter table cqrs_dead_letter add column waits_for text;
-- The end of that wait; `next_attempt_at` may be earlier.
alter table cqrs_dead_letter add column waits_until integer;

-- What is woken by the instance that has come.
create index cqrs_dead_letter_reference on cqrs_dead_letter (queue, waits_for, next_attempt_at)
    where next_attempt_at is not null and waits_for is not null;
