"""A small shop, as it publishes itself."""

import uuid

from dj_cqrs.mixins import MasterMixin
from django.db import models


class Customer(MasterMixin):
    CQRS_ID = 'customer'
    CQRS_TRACKED_FIELDS = ('name', 'status', 'balance')

    name = models.TextField()
    status = models.CharField(max_length=20, default='new')
    balance = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    ratio = models.FloatField(null=True)
    active = models.BooleanField(default=True)
    born = models.DateField(null=True)
    seen = models.DateTimeField(null=True)
    extra = models.JSONField(null=True)
    # Not a constraint: the tests delete in any order.
    parent = models.ForeignKey('self', models.DO_NOTHING, null=True, db_constraint=False)

    class Meta:
        db_table = 'customer'

    def get_custom_cqrs_delete_data(self):
        return {'name': self.name}


class Device(MasterMixin):
    CQRS_ID = 'device'

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    label = models.TextField()
    serial = models.BigIntegerField()

    class Meta:
        db_table = 'device'


class Country(MasterMixin):
    CQRS_ID = 'country'

    code = models.CharField(max_length=40, primary_key=True)
    name = models.TextField()

    class Meta:
        db_table = 'country'


class Order(MasterMixin):
    CQRS_ID = 'order'
    CQRS_SERIALIZER = 'master.serializers.OrderSerializer'

    number = models.TextField()
    customer = models.ForeignKey(Customer, models.DO_NOTHING, null=True, db_constraint=False)
    total = models.DecimalField(max_digits=20, decimal_places=4)
    placed = models.DateTimeField()
    pickup = models.TimeField(null=True)

    class Meta:
        db_table = 'orders'

    @classmethod
    def relate_cqrs_serialization(cls, queryset):
        return queryset.prefetch_related('lines')


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name='lines')
    product = models.TextField()
    quantity = models.IntegerField()
    price = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        db_table = 'line'


class Article(MasterMixin):
    CQRS_ID = 'article'

    title = models.TextField()
    published = models.BooleanField(default=False)

    class Meta:
        db_table = 'article'

    def is_sync_instance(self):
        return self.published
