"""Statements of the hot path, told to the database's driver itself: the layers of Django's cursors take longer than
most of them. Where somebody listens to those layers, they are taken. Errors are Django's in any case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")

Statement = tuple[str, Sequence]


@cache
def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def query(text: str, parameters: Sequence = ()) -> list[tuple]:
    """The rows that a statement returns."""
    return _run(text, parameters, lambda cursor: cursor.fetchall())


def execute(text: str, parameters: Sequence = ()) -> None:
    """Execute a statement that returns no rows."""
    _run(text, parameters, lambda cursor: None)


def query_in_turn(*statements: Statement) -> list[list[tuple]]:
    """The rows of each of these statements, of which each sees what others had committed when the one before it was
    over. On PostgreSQL, within a transaction, they are one round trip, and the transaction's begin with them."""
    database = connections[DEFAULT_DB_ALIAS]
    if not is_postgresql() or not database.in_atomic_block or _is_watched(database):
        return [query(*statement) for statement in statements]
    return _tell(database, lambda driver: _postgresql().query_in_turn(driver, statements))


def _run(text: str, parameters: Sequence, answer: Callable[[Any], T]) -> T:
    database = connections[DEFAULT_DB_ALIAS]
    if _is_watched(database):
        with _postgresql().watched_cursor(database) if is_postgresql() else database.cursor() as cursor:
            cursor.execute(text, parameters)
            return answer(cursor)
    if is_postgresql():
        return _tell(database, lambda driver: answer(_postgresql().execute(driver, text, parameters)))
    return _tell(database, lambda driver: answer(driver.execute(text.replace("%s", "?"), parameters)))


def _is_watched(database: BaseDatabaseWrapper) -> bool:
    return bool(database.execute_wrappers) or database.queries_logged


def _tell(database: BaseDatabaseWrapper, act: Callable[[Any], T]) -> T:
    """Do something with the driver's connection, and besides what Django's cursor does: it is open, its transaction not
    broken, its errors are Django's."""
    database.close_if_health_check_failed()
    database.ensure_connection()
    database.validate_no_broken_transaction()
    try:
        return act(database.connection)
    except Exception:
        with database.wrap_database_errors:
            raise


@cache
def _postgresql():
    """psycopg is loaded where it is used: it is not small."""
    from executor import postgresql

    return postgresql
