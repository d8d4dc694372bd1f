-- A page of the list, newest first: account, status, search pattern, place and id to go on after, limit.
select o.id, o.account_id, a.name, o.status, o.placed_at, o.total, o.version
from order_view o
left join account_ref a on a.id = o.account_id
where ($1 is null or o.account_id = $1)
  and ($2 is null or o.status = $2)
  and ($3 is null
       or lower(a.name) like $3 escape '!'
       or exists (
           select 1
           from order_line l
           join product_ref p on p.id = l.product_id
           where l.order_id = o.id and lower(p.name) like $3 escape '!'
       ))
  and ($4 is null or o.placed_at < $4 or (o.placed_at = $4 and o.id < $5))
order by o.placed_at desc, o.id desc
limit $6
