"""The same shop, as a copy. References are plain keys, except in `OrderCopy`, which has a foreign key."""

from dj_cqrs.mixins import ReplicaMixin
from django.db import models


class CustomerCopy(ReplicaMixin):
    CQRS_ID = 'customer'

    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    status = models.CharField(max_length=20)
    balance = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    ratio = models.FloatField(null=True)
    active = models.BooleanField()
    born = models.DateField(null=True)
    seen = models.DateTimeField(null=True)
    extra = models.JSONField(null=True)
    parent = models.BigIntegerField(null=True, db_column='parent_id')

    class Meta:
        db_table = 'customer'


class DeviceCopy(ReplicaMixin):
    CQRS_ID = 'device'

    id = models.UUIDField(primary_key=True)
    label = models.TextField()
    serial = models.BigIntegerField()

    class Meta:
        db_table = 'device'


class CountryCopy(ReplicaMixin):
    CQRS_ID = 'country'

    code = models.CharField(max_length=40, primary_key=True)
    name = models.TextField()

    class Meta:
        db_table = 'country'


class OrderCopy(ReplicaMixin):
    CQRS_ID = 'order'

    id = models.BigIntegerField(primary_key=True)
    number = models.TextField()
    customer = models.ForeignKey(CustomerCopy, models.DO_NOTHING, null=True, db_constraint=False)
    total = models.DecimalField(max_digits=20, decimal_places=4)
    placed = models.DateTimeField()
    pickup = models.TimeField(null=True)
    lines = models.JSONField()

    class Meta:
        db_table = 'orders'

    @classmethod
    def cqrs_create(cls, sync, mapped_data, previous_data=None):
        return super().cqrs_create(sync, by_column(mapped_data), previous_data)

    def cqrs_update(self, sync, mapped_data, previous_data=None):
        return super().cqrs_update(sync, by_column(mapped_data), previous_data)


def by_column(data):
    """A raw key can be assigned to `customer_id`, not to `customer`."""
    data['customer_id'] = data.pop('customer')
    return data


class ArticleCopy(ReplicaMixin):
    """Keeps what came beside the state."""

    CQRS_ID = 'article'
    CQRS_META = True

    id = models.BigIntegerField(primary_key=True)
    title = models.TextField()
    published = models.BooleanField()
    previous = models.JSONField(null=True)
    meta = models.JSONField(null=True)

    class Meta:
        db_table = 'article'

    @classmethod
    def cqrs_create(cls, sync, mapped_data, previous_data=None, meta=None):
        mapped_data.update(previous=previous_data, meta=meta)
        return super().cqrs_create(sync, mapped_data, previous_data)

    def cqrs_update(self, sync, mapped_data, previous_data=None, meta=None):
        mapped_data.update(previous=previous_data, meta=meta)
        return super().cqrs_update(sync, mapped_data, previous_data)


class Sample(ReplicaMixin):
    """A column of each type whose form on the wire is worth a look."""

    CQRS_ID = 'sample'

    id = models.BigIntegerField(primary_key=True)
    payload = models.BinaryField(null=True)
    period = models.DurationField(null=True)
    clock = models.TimeField(null=True)
    price = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    owner = models.UUIDField(null=True)
    ratio = models.FloatField(null=True)
    big = models.BigIntegerField(null=True)
    day = models.DateField(null=True)
    moment = models.DateTimeField(null=True)
    address = models.GenericIPAddressField(null=True)
    document = models.JSONField(null=True)
    base64 = models.BinaryField(null=True)
    buyer = models.ForeignKey(CustomerCopy, models.DO_NOTHING, null=True, db_constraint=False)

    class Meta:
        db_table = 'sample'

    @classmethod
    def cqrs_create(cls, sync, mapped_data, previous_data=None):
        # JSON has no bytes, and a BinaryField takes nothing else; but it can read base64.
        field = cls._meta.get_field('base64')
        mapped_data['base64'] = field.to_python(mapped_data.get('base64'))
        return super().cqrs_create(sync, mapped_data, previous_data)
