-- cqrs-replica: describe_columns
-- The columns of a table that rows can be inserted into, by its quoted name; and whether a trigger
-- runs before an insert, which may fill in what the data lacks.
select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull or t.typnotnull,
       a.atthasdef or a.attidentity <> '' or t.typdefault is not null,
       a.attgenerated = '' and (a.attidentity <> 'a' or exists (
           select from pg_index x where x.indrelid = c.oid and a.attnum = any(x.indkey))),
       format('%I.%I', n.nspname, c.relname),
       exists (select from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal
               and g.tgenabled <> 'D' and g.tgtype & 7 = 7)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'f')
order by a.attnum
