-- cqrs-replica: describe_keys
-- The columns of the unique indexes that `on conflict` can name by their columns alone; one on an
-- expression has a null among them.
select i.name, c.name
from pragma_index_list(?2, ?1) i
join pragma_index_info(i.name, ?1) c
where i."unique" and not i.partial
order by i.name, c.seqno
