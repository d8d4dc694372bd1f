-- cqrs-replica: describe_references
-- The foreign keys of a table. One that refers to a partitioned table stands beside one for each of
-- its partitions, which demand less.
select c.conname::text,
       array(select a.attname::text
             from unnest(c.conkey) with ordinality as k(attnum, place)
             join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum
             order by k.place),
       format('%I.%I', n.nspname, r.relname),
       array(select a.attname::text
             from unnest(c.confkey) with ordinality as k(attnum, place)
             join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.attnum
             order by k.place)
from pg_constraint c
join pg_class r on r.oid = c.confrelid
join pg_namespace n on n.oid = r.relnamespace
where c.conrelid = to_regclass($1) and c.contype = 'f'
  and not exists (select from pg_constraint u
                  where u.oid = c.conparentid and u.conrelid = c.conrelid)
order by c.conname
