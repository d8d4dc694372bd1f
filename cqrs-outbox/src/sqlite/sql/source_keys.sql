-- cqrs-outbox: source_keys
-- The columns of each unique index of a table that holds for all its rows; one on an expression has a
-- null among them.
select i.name, c.name
from pragma_index_list(?2, ?1) i
join pragma_index_info(i.name, ?1) c
where i."unique" and not i.partial
order by i.name, c.seqno
