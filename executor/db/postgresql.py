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


def query_in_turn(connection: Connection, statements: Sequence[tuple]) -> list[list[tuple]]:
    """The rows of each of these statements of a transaction, which are sent without waiting for the answers between;
    before them BEGIN, where it has not begun. After an error it must be rolled back, as psycopg forgets only then which
    statements it took for prepared."""
    begins = connection.info.transaction_status == TransactionStatus.IDLE
    if begins:
        connection.autocommit = True  # psycopg's own BEGIN would wait for its answer
    with _one_round_trip(connection):
        if begins:
            execute(connection, "BEGIN ISOLATION LEVEL READ COMMITTED", ())
        cursors = [execute(connection, *statement) for statement in statements]
    return [cursor.fetchall() for cursor in cursors]


@contextmanager
def _one_round_trip(connection: Connection) -> Iterator[None]:
    connection._pipeline = pipeline = _Pipeline(connection)
    try:
        with pipeline:
            yield
    finally:
        connection._pipeline = None
        if connection.pgconn.pipeline_status:  # it could not be left: nothing else can be said on this connection
            connection.close()


class _Pipeline(Pipeline):
    """psycopg's pipeline without the Flush that it sends when all is answered: that takes the server's eye off a
    transaction which then stands still, and `end_frozen_transactions` would not end it."""

    def _exit_gen(self):
        self._enqueue_sync()
        try:
            yield from self._communicate_gen()
        finally:
            yield from self._fetch_gen(flush=False)
