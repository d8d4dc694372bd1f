-- cqrs-replica: describe_columns
-- The columns of a table that rows can be inserted into, by its quoted name; whether a trigger
-- runs before an insert, which may fill in what the data lacks; whether texts that differ may be
-- equal in the column, by its collation, or since it is of a type of texts (category S) of an
-- extension; the type behind a domain; whether bytes are among the parts of its type; and whether the
-- column keeps the number that it was first given.
select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull or t.typnotnull,
       a.atthasdef or a.attidentity <> '' or t.typdefault is not null,
       a.attgenerated = '',
       format('%I.%I', n.nspname, c.relname),
       exists (select from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal
               and g.tgenabled <> 'D' and g.tgtype & 7 = 7),
       t.typcategory = 'S' and (
           base.oid not in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'name'::regtype)
           or exists (select from pg_collation l
                      where l.oid = a.attcollation and not l.collisdeterministic)),
       format_type(base.oid, null),
       base.oid <> 'bytea[]'::regtype and exists (
           with recursive parts as (
               select base.oid
               union
               select next.oid
               from parts
               join pg_type p on p.oid = parts.oid
               cross join lateral (
                   select p.typbasetype where p.typbasetype <> 0
                   union all
                   select p.typelem where p.typelem <> 0
                   union all
                   select f.atttypid from pg_attribute f
                   where f.attrelid = p.typrelid and f.attnum > 0 and not f.attisdropped
               ) as next (oid)
           )
           select from parts where parts.oid <> base.oid and parts.oid = 'bytea'::regtype),
       a.attidentity = 'a' and not exists (
           select from pg_index x where x.indrelid = c.oid and x.indisunique
           and a.attnum = any(x.indkey))
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
