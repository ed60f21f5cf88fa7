"""What differs between SQLite and PostgreSQL when the hot path speaks SQL itself.

Ids travel as 32 hex digits: the text of a ticket, the value in SQLite, and a literal that PostgreSQL reads as a uuid.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from django.db import connection


def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def database_now() -> datetime:
    """The database's clock, so that all hosts agree. SQLite's is the clock of the one host that it runs on."""
    if not is_postgresql():
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def time_param(moment: datetime | None):
    """A moment as a parameter of raw SQL."""
    return connection.ops.adapt_datetimefield_value(moment)


def time_of(value) -> datetime | None:
    """A moment as raw SQL gives it back."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value


def hex_of(value: UUID | str) -> str:
    """An id as 32 hex digits."""
    return value.hex if isinstance(value, UUID) else str(value).replace("-", "")


def marks(values: Iterable) -> str:
    """`%s, %s, …`, one for each value."""
    return ", ".join("%s" for _ in values)


def rows_of_values(count: int, types: tuple[str, ...]) -> str:
    """The rows of a VALUES list. PostgreSQL takes the column types from the first row's casts; SQLite needs none."""
    plain = "(" + ", ".join("%s" for _ in types) + ")"
    if not is_postgresql():
        return ", ".join([plain] * count)
    first = "(" + ", ".join(f"%s::{kind}" for kind in types) + ")"
    return ", ".join([first, *[plain] * (count - 1)])
