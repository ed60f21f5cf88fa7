"""SQL statements of the hot path, through Django's own connection.

The settings switch on server-side binding and prepared statements for PostgreSQL, so that a statement with an
unchanged text is planned once a connection. Errors are Django's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connection


@cache
def is_postgresql() -> bool:
    """Return whether the default database is PostgreSQL; otherwise it is SQLite."""
    return connection.vendor == "postgresql"


def query(text: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.fetchall()


def execute(text: str, parameters: Sequence[Any] = ()) -> None:
    """Run a statement that returns no rows."""
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
