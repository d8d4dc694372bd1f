-- cqrs-replica: is_referenced
-- Whether a foreign key refers to a table.
select exists (select from pg_constraint where confrelid = to_regclass($1) and contype = 'f')
