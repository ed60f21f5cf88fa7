"""What `driver` tells psycopg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db.backends.postgresql.base import ServerBindingCursor
from psycopg import Connection, Pipeline
from psycopg.pq import TransactionStatus


def execute(connection: Connection, text: str, parameters: Sequence) -> ServerBindingCursor:
    """The cursor of an executed statement. The server keeps the plan of one that comes again with the same text."""
    return ServerBindingCursor(connection).execute(text, parameters)


def watched_cursor(database) -> ServerBindingCursor:
    """The same kind of cursor, inside of Django's layers."""
    database.ensure_connection()
    return database._prepare_cursor(ServerBindingCursor(database.connection))


def query_in_turn(connection: Connection, in_transaction: bool, statements: Sequence[tuple]) -> list[list[tuple]]:
    """The rows of each of these statements, which the server gets in one message; it is begun with BEGIN where a
    transaction is meant and has not begun."""
    begins = in_transaction and connection.info.transaction_status == TransactionStatus.IDLE
    if begins:
        connection.autocommit = True  # psycopg's own BEGIN would wait for its answer
    with _one_message(connection):
        if begins:
            execute(connection, "BEGIN", ())
        cursors = [execute(connection, *statement) for statement in statements]
    return [cursor.fetchall() for cursor in cursors]


@contextmanager
def _one_message(connection: Connection) -> Iterator[None]:
    connection._pipeline = message = _Message(connection)
    try:
        with message:
            yield
    finally:
        connection._pipeline = None


class _Message(Pipeline):
    """psycopg's pipeline without the Flush that it sends when all is answered: that takes the server's eye off a
    transaction which then stands still, and `end_frozen_transactions` would not end it."""

    def _exit_gen(self):
        yield from self._sync_gen()
