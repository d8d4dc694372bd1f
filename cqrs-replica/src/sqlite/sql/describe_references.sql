-- cqrs-replica: describe_references
-- The foreign keys of a table, column by column. One that names no columns refers to the primary
-- key; names of tables are the same in any case.
select f.id, f."from", coalesce(t.name, f."table"),
       coalesce(f."to", (select p.name from pragma_table_info(f."table", ?1) p
                         where p.pk = f.seq + 1))
from pragma_foreign_key_list(?2, ?1) f
left join pragma_table_list t on t.schema = ?1 and t.name = f."table" collate nocase
order by f.id, f.seq
