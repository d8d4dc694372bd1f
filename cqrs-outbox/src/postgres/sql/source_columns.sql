-- cqrs-outbox: source_columns
-- The columns of a table, by its quoted name, with their types, those below domains, without lengths.
with recursive below (oid, base) as (
    select oid, oid from pg_type where typtype <> 'd'
    union all
    select t.oid, below.base from pg_type as t join below on t.typbasetype = below.oid
    where t.typtype = 'd'
)
select a.attname::text, format_type(below.base, -1), format('%I.%I', n.nspname, c.relname)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join below on below.oid = a.atttypid
where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'f', 'v', 'm')
order by a.attnum
