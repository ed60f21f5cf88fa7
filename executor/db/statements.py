"""Statements of the hot path, told to the database's driver itself: the layers of Django's cursors take longer than
most of them. Where somebody listens to those layers, they are taken. Errors are Django's in any case."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

Statement = tuple[str, Sequence]


_of_thread = threading.local()


def _database() -> BaseDatabaseWrapper:
    """This thread's database, as Django knows it: to look that up takes longer than some statements."""
    if asyncio._get_running_loop() is not None:
        return connections[DEFAULT_DB_ALIAS]  # where an event loop runs, each context has its own
    try:
        return _of_thread.database
    except AttributeError:
        _of_thread.database = connections[DEFAULT_DB_ALIAS]
        return _of_thread.database


@cache
def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def query(text: str, parameters: Sequence = ()) -> list[tuple]:
    """The rows that a statement returns."""
    return _run(text, parameters, fetches=True)


def execute(text: str, parameters: Sequence = ()) -> None:
    """Execute a statement that returns no rows."""
    _run(text, parameters, fetches=False)


def query_in_turn(*statements: Statement) -> list[list[tuple]]:
    """The rows of each of these statements, of which each sees what others had committed when the one before it was
    over. On PostgreSQL, within a transaction, they are one round trip, and the transaction's begin with them."""
    database = _database()
    if not is_postgresql() or not database.in_atomic_block or _is_watched(database):
        return [query(*statement) for statement in statements]
    try:
        return _postgresql().query_in_turn(_driver_of(database), statements)
    except Exception:
        with database.wrap_database_errors:
            raise


def _run(text: str, parameters: Sequence, fetches: bool) -> list[tuple]:
    database = _database()
    try:
        if _is_watched(database):
            cursor = _postgresql().watched_cursor(database) if is_postgresql() else database.cursor()
            cursor.execute(text, parameters)
        elif is_postgresql():
            cursor = _postgresql().execute(_driver_of(database), text, parameters)
        else:
            cursor = _driver_of(database).execute(_for_sqlite(text), parameters)
        return cursor.fetchall() if fetches else []
    except Exception:
        with database.wrap_database_errors:
            raise


def _is_watched(database: BaseDatabaseWrapper) -> bool:
    return bool(database.execute_wrappers) or database.queries_logged


def _driver_of(database: BaseDatabaseWrapper) -> Any:
    """The driver's connection, after what Django's cursor sees to: it is open, its transaction not broken."""
    if not database.in_atomic_block or database.connection is None:
        database.close_if_health_check_failed()
        database.ensure_connection()
    database.validate_no_broken_transaction()
    return database.connection


def _for_sqlite(text: str) -> str:
    return _short_for_sqlite(text) if len(text) < 4_000 else text.replace("%s", "?")


@lru_cache(500)
def _short_for_sqlite(text: str) -> str:
    return text.replace("%s", "?")


@cache
def _postgresql():
    """psycopg is loaded where it is used: it is not small."""
    from . import postgresql

    return postgresql
