-- cqrs-outbox: capture_triggers
-- The triggers of a model, whatever version made them. A model's name has no blanks.
select name, sql
from sqlite_schema
where type = 'trigger' and substr(name, 1, length(?1)) = ?1
order by name
