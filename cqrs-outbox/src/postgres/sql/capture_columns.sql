-- cqrs-outbox: capture_columns
-- The columns of a table by its quoted name, in order, with their types as the search path names them.
select a.attname::text, format_type(a.atttypid, null)
from pg_attribute a
where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
order by a.attnum
