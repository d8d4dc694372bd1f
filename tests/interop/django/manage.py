"""Django's own commands: migrate, cqrs_consume, cqrs_sync and all others."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == '__main__':
    os.environ['DJANGO_SETTINGS_MODULE'] = 'settings'
    execute_from_command_line(sys.argv)
