"""The differences between SQLite and PostgreSQL, and the conversion of values at the database's door.

Python has ids as `UUID` and times as aware `datetime`. SQLite stores ids as 32 hex digits and times as text in UTC;
psycopg takes and gives the Python types.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from .statements import execute, is_postgresql, query

ROWS_A_STATEMENT = 500  # SQLite takes at most 32,766 values
FEW_ROWS = 10  # up to here one INSERT beats a COPY on PostgreSQL, which takes two round trips

_local = threading.local()


# --- values ------------------------------------------------------------------------------------------


def to_db_id(value: UUID) -> UUID | str:
    """Return an id as a parameter of raw SQL."""
    return value if is_postgresql() else value.hex


def from_db_id(value: UUID | str) -> UUID:
    """Return an id that raw SQL gave back."""
    return value if isinstance(value, UUID) else UUID(value)


def to_db_time(moment: datetime | None) -> datetime | str | None:
    """Return a time as a parameter of raw SQL, in the form that Django stores."""
    if moment is None or is_postgresql():
        return moment
    return str(moment.astimezone(UTC).replace(tzinfo=None))


def from_db_time(value: datetime | str | None) -> datetime | None:
    """Return a time that raw SQL gave back. SQLite's come without their zone, sometimes as text."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def database_now() -> datetime:
    """Return the database's time, so that all hosts agree. SQLite has one host, whose clock it is."""
    if not is_postgresql():
        return datetime.now(UTC)
    now: datetime = query("SELECT clock_timestamp()")[0][0]
    return now


# --- pieces of statements ------------------------------------------------------------------------------


def placeholders(values: Iterable[Any]) -> str:
    """Return `%s, %s, …`, one for each value."""
    return ", ".join("%s" for _ in values)


def in_clause(ids: Sequence[UUID]) -> tuple[str, list[Any]]:
    """Return the condition of being one of these ids, and its parameters.

    PostgreSQL gets the same text for any number of ids, so that its plan can be kept.
    """
    if is_postgresql():
        return "= ANY(%s::uuid[])", [list(ids)]
    return f"IN ({placeholders(ids)})", [value.hex for value in ids]


def not_in_clause(ids: Sequence[UUID]) -> tuple[str, list[Any]]:
    """Return the condition of being none of these ids, and its parameters."""
    if is_postgresql():
        return "<> ALL(%s::uuid[])", [list(ids)]
    return f"NOT IN ({placeholders(ids)})", [value.hex for value in ids]


def values_clause(rows: Sequence[Sequence[Any]], types: Sequence[str]) -> tuple[str, list[Any]]:
    """Return rows of values as a table to select from, and its parameters. There must be at least one row."""
    if is_postgresql():
        arrays = ", ".join(f"%s::{kind}[]" for kind in types)
        return f"SELECT * FROM unnest({arrays})", [list(column) for column in zip(*rows, strict=True)]
    row = f"({placeholders(types)})"
    return f"VALUES {', '.join([row] * len(rows))}", [value for row in rows for value in row]


# --- statements ----------------------------------------------------------------------------------------


def insert_rows(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows; many of them by COPY on PostgreSQL, which is several times as fast."""
    names = ", ".join(columns)
    row_placeholders = f"({placeholders(columns)})"
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_A_STATEMENT)):
        if is_postgresql() and len(chunk) > FEW_ROWS:
            _copy(table, names, chain(chunk, remaining))
            return
        values = [value for row in chunk for value in row]
        execute(f"INSERT INTO {table} ({names}) VALUES {', '.join([row_placeholders] * len(chunk))}", values)


def _copy(table: str, names: str, rows: Iterable[Sequence[Any]]) -> None:
    # Django's cursor passes COPY through to psycopg without translating its errors.
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN") as stream,
    ):
        for row in rows:
            stream.write_row(row)


def analyze_table(table: str) -> None:
    """Renew PostgreSQL's statistics of a table that has just grown by much.

    Autovacuum does so once a minute at best. Until then the planner takes the table for a small one, and reads and
    sorts a whole batch for every claim and page.
    """
    if is_postgresql():
        execute(f"ANALYZE {table}")


# --- connections ---------------------------------------------------------------------------------------


def close_idle_connection() -> None:
    """Close this thread's connection before a long wait, so that it occupies no server slot."""
    if not connection.in_atomic_block:
        connection.close()


def set_idle_in_transaction_timeout(seconds: float) -> None:
    """Let PostgreSQL end every transaction in which this thread is silent for that long.

    A suspended process would otherwise keep its row locks, and its tasks could not be rescued. Call before the
    thread's first statement. SQLite has no such limit, and other threads, those of task functions too, have none.
    """
    _local.idle_timeout = seconds


@receiver(connection_created)
def _apply_idle_timeout(connection: Any, **_: Any) -> None:
    seconds = getattr(_local, "idle_timeout", None)
    if seconds and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            name = "idle_in_transaction_session_timeout"
            cursor.execute("SELECT set_config(%s, %s, false)", [name, str(int(seconds * 1000))])
