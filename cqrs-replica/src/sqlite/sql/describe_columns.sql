-- cqrs-replica: describe_columns
-- The columns of a table; hidden > 1 is a generated column. A BEFORE trigger cannot change a row
-- here, so triggers do not matter. Then the place in the primary key, and whether a unique index
-- takes texts that differ for equal.
select c.name, c.type, c."notnull" <> 0, c.dflt_value is not null, c.hidden = 0, c.pk,
       exists (select 1 from pragma_index_list(t.name, t.schema) i
               join pragma_index_xinfo(i.name, t.schema) x
               where i."unique" and x."key" and x.name = c.name and x.coll <> 'BINARY')
from pragma_table_list t
join pragma_table_xinfo(t.name, t.schema) c
where t.schema = ?1 and t.name = ?2 and t.type in ('table', 'virtual')
order by c.cid
