-- cqrs-replica: constraint_columns
-- The columns of a constraint or a unique index, as an error names it. A column that is an
-- expression has no name.
select a.attname::text
from (
    select c.conrelid, k.attnum, k.place
    from pg_constraint c, unnest(c.conkey) with ordinality as k(attnum, place)
    where c.conrelid = to_regclass($1) and c.conname = $2
    union
    select x.indrelid, k.attnum, k.place
    from pg_index x
    join pg_class i on i.oid = x.indexrelid,
         unnest(x.indkey::smallint[]) with ordinality as k(attnum, place)
    where x.indrelid = to_regclass($1) and i.relname = $2 and k.place <= x.indnkeyatts
) k
join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.attnum
order by k.place
