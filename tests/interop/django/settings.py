"""One project, as master or as replica; all else that differs between tests comes from the environment."""

import os
from urllib.parse import unquote, urlparse

ROLE = os.environ['INTEROP_ROLE']

SECRET_KEY = 'for tests only'
INSTALLED_APPS = ['dj_cqrs', ROLE]
DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'
USE_TZ = os.environ.get('INTEROP_USE_TZ', 'yes') == 'yes'
TIME_ZONE = 'UTC'

_database = urlparse(os.environ['INTEROP_DATABASE'])
DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.postgresql',
        'NAME': _database.path.lstrip('/'),
        'USER': unquote(_database.username or ''),
        'PASSWORD': unquote(_database.password or ''),
        'HOST': _database.hostname,
        'PORT': _database.port,
        # A new connection for each message is the default and takes most of a consumer's time.
        'CONN_MAX_AGE': 600,
    },
}


def correlation(signal_type, cqrs_id, instance_pk, queue):
    return f'{signal_type} {cqrs_id} {instance_pk} {queue}'


def meta(obj=None, **kwargs):
    return {'signal': kwargs['signal_type'], 'model': type(obj).__name__}


CQRS = {
    'transport': os.environ.get('INTEROP_TRANSPORT', 'dj_cqrs.transport.RabbitMQTransport'),
    'url': os.environ['INTEROP_BROKER'],
    'exchange': os.environ['INTEROP_EXCHANGE'],
}
if ROLE == 'master':
    CQRS['master'] = {
        'CQRS_MESSAGE_TTL': 86400,
        'correlation_function': correlation,
        'meta_function': meta,
    }
else:
    CQRS['queue'] = os.environ['INTEROP_QUEUE']
    CQRS['replica'] = {
        'CQRS_MAX_RETRIES': int(os.environ.get('INTEROP_MAX_RETRIES', 30)),
        'CQRS_RETRY_DELAY': 0,
    }

LOGGING = {
    'version': 1,
    'disable_existing_loggers': False,
    'formatters': {'line': {'format': '%(levelname)s %(name)s %(message)s'}},
    'handlers': {'stderr': {'class': 'logging.StreamHandler', 'formatter': 'line'}},
    'root': {'handlers': ['stderr'], 'level': 'WARNING'},
    # A line for each message that a master sends would be most of what there is to read.
    'loggers': {'django-cqrs': {'level': 'WARNING' if ROLE == 'master' else 'INFO'}},
}
