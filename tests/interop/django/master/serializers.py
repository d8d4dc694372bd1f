"""An order with its lines, in the forms of Django REST framework: decimals as text, times in ISO 8601."""


class OrderSerializer:
    def __init__(self, order):
        self.order = order

    @property
    def data(self):
        order = self.order
        return {
            'id': order.pk,
            'number': order.number,
            'customer': order.customer_id,
            'total': str(order.total),
            'placed': order.placed.isoformat().replace('+00:00', 'Z'),
            'pickup': order.pickup and order.pickup.isoformat(),
            'lines': [
                {'product': line.product, 'quantity': line.quantity, 'price': str(line.price)}
                for line in sorted(order.lines.all(), key=lambda line: line.pk)
            ],
        }
