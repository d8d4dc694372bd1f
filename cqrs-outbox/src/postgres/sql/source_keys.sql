-- cqrs-outbox: source_keys
-- The columns of each unique index of a table that holds for all its rows.
select array(select a.attname::text
             from unnest(x.indkey::smallint[]) with ordinality as k(attnum, place)
             join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
             where k.place <= x.indnkeyatts)
from pg_index x
where x.indrelid = to_regclass($1) and x.indisunique and x.indisvalid and x.indimmediate
  and x.indpred is null and x.indexprs is null
