-- cqrs-outbox: capture_table
-- A table by its quoted name: its schema and name, the table that it is a part of, the schemas of its
-- columns' types beside those of the system, its columns that are computed when they are read.
with recursive used (oid) as (
    select atttypid
    from pg_attribute
    where attrelid = to_regclass($1) and attnum > 0 and not attisdropped
    union
    select part.oid
    from used
    join pg_type t on t.oid = used.oid
    cross join lateral (values (t.typbasetype), (t.typelem)) as part (oid)
    where part.oid <> 0
)
select
    n.nspname::text, c.relname::text,
    (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid limit 1),
    array(
        select distinct s.nspname::text
        from used
        join pg_type t on t.oid = used.oid
        join pg_namespace s on s.oid = t.typnamespace
        where s.nspname <> 'pg_catalog'
        order by 1
    ),
    array(
        select a.attname::text
        from pg_attribute a
        where a.attrelid = c.oid and a.attgenerated = 'v'
    )
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = to_regclass($1)
