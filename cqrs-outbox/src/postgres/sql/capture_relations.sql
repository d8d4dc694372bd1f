-- cqrs-outbox: capture_relations
-- A table by its quoted name with all its partitions and heirs, and why one of them cannot be captured, if so.
-- A trigger fires for statements that name its table, not for those that name a part of it.
with recursive tree (oid) as (
    select to_regclass($1)::oid
    union
    select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
)
select format('%I.%I', n.nspname, c.relname), case
    when c.relkind in ('v', 'm') then 'is a view'
    when c.relkind = 'f' then 'is a foreign table'
    when c.relkind not in ('r', 'p') then 'is no table'
    when c.relpersistence = 'u' then 'is unlogged'
end
from tree
join pg_class c on c.oid = tree.oid
join pg_namespace n on n.oid = c.relnamespace
order by 1
