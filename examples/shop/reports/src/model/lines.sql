-- The lines of an order.
select l.product_id, p.name, l.quantity, l.price
from order_line l
left join product_ref p on p.id = l.product_id
where l.order_id = $1
order by l.position
