"""Races in a forced order: calls in another thread, with its own database connection, at a named moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from executor.db.statements import is_postgresql

JOIN_TIMEOUT = 60  # seconds; a race that hangs fails


class ConcurrentCall(threading.Thread):
    """A call on its own database connection. `join` returns its result or raises its error."""

    def __init__(self, act: Callable):
        super().__init__(daemon=True)
        self.act, self.result, self.error = act, None, None

    def started(self) -> ConcurrentCall:
        """Start the call and return it."""
        self.start()
        return self

    def run(self) -> None:
        try:
            self.result = self.act()
        except BaseException as error:
            self.error = error
        finally:
            connection.close()

    def join(self, timeout: float | None = JOIN_TIMEOUT):
        super().join(timeout)
        assert not self.is_alive(), "the concurrent call is still blocked"
        if self.error is not None:
            raise self.error
        return self.result

    def is_blocked(self, seconds: float = 0.3) -> bool:
        """Return whether the call has not ended within that time."""
        super().join(seconds)
        return self.is_alive()


@contextmanager
def run_between(act: Callable, *, after: str = "", before: str = "") -> Iterator[ConcurrentCall]:
    """Run `act` once on another connection, to its end, between two statements of this one.

    It runs just after the first statement with the text `after`, which must be outside a transaction, or just before
    the first one with the text `before`, which may be inside. SQLite has one writer: there `before` means before the
    transaction.
    """
    concurrent = ConcurrentCall(act)
    if before and not is_postgresql():
        _let_go(concurrent)

    def execute(run, sql, params, many, context):
        now = (after or before) in sql and not concurrent.ident
        if now and before:
            _let_go(concurrent)
        result = run(sql, params, many, context)
        if now and after:
            _let_go(concurrent)
        return result

    with connection.execute_wrapper(execute):
        yield concurrent
    assert concurrent.ident, f"no statement had {after or before!r}: there was no race"


def _let_go(concurrent: ConcurrentCall) -> None:
    concurrent.start()
    concurrent.join()
