-- cqrs-replica: describe_referring
-- The foreign keys that refer to a table: the tables that have them, their columns and those referred
-- to, and whether a row that is referred to cannot be deleted.
select format('%I.%I', n.nspname, r.relname),
       array(select a.attname::text
             from unnest(c.conkey) with ordinality as k(attnum, place)
             join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum
             order by k.place),
       array(select a.attname::text
             from unnest(c.confkey) with ordinality as k(attnum, place)
             join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.attnum
             order by k.place),
       c.confdeltype in ('a', 'r')
from pg_constraint c
join pg_class r on r.oid = c.conrelid
join pg_namespace n on n.oid = r.relnamespace
where c.confrelid = to_regclass($1) and c.contype = 'f'
order by c.conname, c.oid
