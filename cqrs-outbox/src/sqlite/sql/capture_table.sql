-- cqrs-outbox: capture_table
-- What kind of relation it is, and its integer primary key, which has no index of its own.
select
    t.type,
    (
        select min(c.name)
        from pragma_table_xinfo(t.name) c
        where c.pk > 0
            and not exists (select 1 from pragma_index_list(t.name) i where i.origin = 'pk')
    )
from pragma_table_list t
where t.schema = 'main' and t.name = ?1
