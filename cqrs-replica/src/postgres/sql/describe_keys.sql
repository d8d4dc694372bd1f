-- cqrs-replica: describe_keys
-- The unique indexes on columns, and whether `on conflict` can name them by these alone.
select array(select a.attname::text
             from unnest(x.indkey::smallint[]) with ordinality as k(attnum, place)
             join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
             where k.place <= x.indnkeyatts),
       x.indimmediate and x.indpred is null
from pg_index x
where x.indrelid = to_regclass($1) and x.indisunique and x.indisvalid and x.indexprs is null
