"""Does what it is told: one JSON array of operations per line, answered by one JSON line.

An operation is an array: its name, the model's cqrs_id, and its arguments. The answer lists the errors of
those that failed, which the caller may expect; the others are done all the same.
"""

import json
import os
import sys

os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'
# The answers' own, which Django's commands must not write to.
answers, sys.stdout = sys.stdout, sys.stderr

import django  # noqa: E402

django.setup()

from dj_cqrs.registries import MasterRegistry  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, transaction  # noqa: E402


def model_of(cqrs_id):
    return MasterRegistry.get_model_by_cqrs_id(cqrs_id)


def typed(model, values):
    """Values as Python has them, of what JSON can say; columns of references by their own names."""
    fields = {}
    for field in model._meta.fields:
        fields[field.name] = fields[field.attname] = field
    return {fields[name].attname: fields[name].to_python(value) for name, value in values.items()}


def create(model, values):
    lines = values.pop('lines', None)
    with transaction.atomic():
        instance = model(**typed(model, values))
        instance.save(force_insert=True)
        for line in lines or []:
            instance.lines.create(**line)


def update(model, key, values):
    lines = values.pop('lines', None)
    with transaction.atomic():
        instance = model.objects.get(pk=key)
        for name, value in typed(model, values).items():
            setattr(instance, name, value)
        instance.save()
        if lines is not None:
            instance.lines.all().delete()
            for line in lines:
                instance.lines.create(**line)


def put(model, key, values):
    """Creates or updates, without a transaction around it: what most views do."""
    instance = model.objects.filter(pk=key).first()
    if instance is None:
        try:
            instance = model(**typed(model, values))
            instance.pk = model._meta.pk.to_python(key)
            instance.save(force_insert=True)
            return
        except IntegrityError:
            instance = model.objects.get(pk=key)
    for name, value in typed(model, values).items():
        setattr(instance, name, value)
    instance.save()


def delete(model, key):
    model.objects.get(pk=key).delete()


def remove(model, key):
    instance = model.objects.filter(pk=key).first()
    if instance is not None:
        instance.delete()


def delete_stale(model, key, values):
    """Deletes through an object that was loaded before the row was updated three times by others."""
    loaded = model.objects.get(pk=key)
    for _ in range(3):
        update(model, key, dict(values))
    loaded.delete()


def create_and_delete(model, values):
    with transaction.atomic():
        instance = model(**typed(model, values))
        instance.save()
        instance.delete()


def bulk_create(model, rows):
    model.cqrs.bulk_create([model(**typed(model, values)) for values in rows])


def bulk_update(model, keys, values):
    model.cqrs.bulk_update(model.objects.filter(pk__in=keys), **typed(model, values))


def migrate(model):
    """Makes the tables of all models, in this process: another one would take a second to start."""
    call_command('migrate', run_syncdb=True, verbosity=0)


def sync(model, keys, queue=None):
    for instance in model.objects.filter(pk__in=keys):
        instance.cqrs_sync(queue=queue)


def sync_all(model, queue=None):
    call_command('cqrs_sync', cqrs_id=model.CQRS_ID, filter='{}', queue=queue)


OPERATIONS = {
    operation.__name__: operation
    for operation in (
        create,
        update,
        put,
        delete,
        remove,
        delete_stale,
        migrate,
        create_and_delete,
        bulk_create,
        bulk_update,
        sync,
        sync_all,
    )
}

for line in sys.stdin:
    errors = []
    for name, cqrs_id, *arguments in json.loads(line):
        try:
            OPERATIONS[name](model_of(cqrs_id), *arguments)
        except Exception as error:
            errors.append(f'{name} {cqrs_id}: {type(error).__name__}: {error}')
    print(json.dumps(errors), file=answers, flush=True)
