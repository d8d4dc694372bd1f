-- cqrs-replica: describe_columns
-- The columns of a table that rows can be inserted into, by its quoted name; whether a trigger
-- runs before an insert, which may fill in what the data lacks; and whether texts that differ may be
-- equal in the column: by its collation, or since it is of a type of texts (category S) of an
-- extension.
select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull or t.typnotnull,
       a.atthasdef or a.attidentity <> '' or t.typdefault is not null,
       a.attgenerated = '' and (a.attidentity <> 'a' or exists (
           select from pg_index x where x.indrelid = c.oid and a.attnum = any(x.indkey))),
       format('%I.%I', n.nspname, c.relname),
       exists (select from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal
               and g.tgenabled <> 'D' and g.tgtype & 7 = 7),
       t.typcategory = 'S' and (
           base.oid not in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'name'::regtype)
           or exists (select from pg_collation l
                      where l.oid = a.attcollation and not l.collisdeterministic))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
cross join lateral (
    with recursive under as (
        select t.oid, t.typbasetype
        union all
        select b.oid, b.typbasetype from under join pg_type b on b.oid = under.typbasetype
    )
    select oid from under where typbasetype = 0
) as base
where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'f')
order by a.attnum
