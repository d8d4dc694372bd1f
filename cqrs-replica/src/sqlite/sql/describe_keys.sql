-- cqrs-replica: describe_keys
-- The columns of the unique indexes, one on an expression has a null among them; and whether an index
-- has a condition, so that `on conflict` cannot name it by its columns alone.
select i.name, c.name, i.partial <> 0
from pragma_index_list(?2, ?1) i
join pragma_index_info(i.name, ?1) c
where i."unique"
order by i.name, c.seqno
