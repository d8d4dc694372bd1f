-- cqrs-outbox: capture_unique
-- The columns of each unique index that holds for all rows, with the collations they are compared by;
-- an expression has no name.
select i.name, c.name, c.coll
from pragma_index_list(?1) i
join pragma_index_xinfo(i.name) c
where i."unique" and not i.partial and c.key
order by i.seq, c.seqno
