-- cqrs-outbox: source_columns
-- The columns of a table with their declared types and places in the primary key.
select c.name, c.type, c.pk
from pragma_table_list t
join pragma_table_xinfo(t.name, t.schema) c
where t.schema = ?1 and t.name = ?2 and t.type in ('table', 'virtual', 'view') and c.hidden <> 1
order by c.cid
