-- cqrs-replica: describe_referring
-- The foreign keys that refer to a table, column by column: the tables that have them, their columns
-- and those referred to, and whether a row that is referred to cannot be deleted.
select t.name || ':' || f.id, t.name, f."from",
       coalesce(f."to", (select p.name from pragma_table_info(f."table", ?1) p
                         where p.pk = f.seq + 1)),
       f.on_delete in ('NO ACTION', 'RESTRICT')
from pragma_table_list t
join pragma_foreign_key_list(t.name, t.schema) f
where t.schema = ?1 and t.type = 'table' and f."table" = ?2 collate nocase
order by t.name, f.id, f.seq
