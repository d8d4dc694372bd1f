-- cqrs-outbox: capture_relations
-- A table by its quoted name with all its partitions and heirs, and their kinds. A trigger fires for
-- statements that name its table, not for those that name a part of it.
with recursive tree (oid) as (
    select to_regclass($1)::oid
    union
    select i.inhrelid from tree join pg_inherits i on i.inhparent = tree.oid
)
select format('%I.%I', n.nspname, c.relname), c.relkind::text
from tree
join pg_class c on c.oid = tree.oid
join pg_namespace n on n.oid = c.relnamespace
order by 1
