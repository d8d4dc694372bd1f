-- cqrs-outbox: source_keys
-- The columns of each unique index of a table that holds for all its rows, and where the index has a
-- column in another collation than the table, that collation.
select
    array(select a.attname::text
          from unnest(x.indkey::smallint[]) with ordinality as k(attnum, place)
          join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
          where k.place <= x.indnkeyatts
          order by k.place),
    array(select case when l.oid <> a.attcollation then format('%I.%I', n.nspname, l.collname) end
          from unnest(x.indkey::smallint[], x.indcollation::oid[]) with ordinality
              as k(attnum, collation_id, place)
          join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum
          left join pg_collation l on l.oid = k.collation_id
          left join pg_namespace n on n.oid = l.collnamespace
          where k.place <= x.indnkeyatts
          order by k.place)
from pg_index x
where x.indrelid = to_regclass($1) and x.indisunique and x.indisvalid and x.indimmediate
  and x.indpred is null and x.indexprs is null
