-- cqrs-replica: is_referenced
-- Whether a foreign key refers to a table.
select exists (
    select 1 from pragma_table_list t
    join pragma_foreign_key_list(t.name, t.schema) f
    where t.schema = ?1 and t.type = 'table' and f."table" = ?2 collate nocase)
