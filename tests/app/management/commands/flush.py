"""`flush` for the tests. Django's test cases call it after each test that commits.

Django's own command truncates every table and then restores permissions and roles. That takes longer than most tests.
"""

from typing import Any

from django.core.management.commands import flush
from django.db import connections, transaction

# Filled by the migrations and changed by no test.
KEPT_TABLES = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "auth_group",
    "auth_group_permissions",
}


class Command(flush.Command):
    def handle(self, *, database: str, **options: Any) -> None:
        """Delete the rows of all tables but KEPT_TABLES."""
        connection = connections[database]
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        with transaction.atomic(using=database), connection.cursor() as cursor:
            for table in sorted(set(tables) - KEPT_TABLES):
                cursor.execute(f'DELETE FROM "{table}"')
