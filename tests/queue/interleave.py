"""Races in a forced order: the rival acts at the very moment that a test names, on a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from executor.db.statements import is_postgresql

JOIN_TIMEOUT = 60  # seconds; a race that hangs fails


class Rival(threading.Thread):
    """Does something on a connection of its own; `join` raises what it raised and gives what it gave."""

    def __init__(self, act: Callable):
        super().__init__(daemon=True)
        self.act, self.result, self.error = act, None, None

    def begun(self) -> Rival:
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
        assert not self.is_alive(), "the rival still waits"
        if self.error is not None:
            raise self.error
        return self.result

    def is_blocked(self, seconds: float = 0.3) -> bool:
        """Whether it has not ended within that time."""
        super().join(seconds)
        return self.is_alive()


@contextmanager
def run_between(act: Callable, *, after: str = "", before: str = "") -> Iterator[Rival]:
    """Run `act` once on another connection, to its end, between two statements of this one.

    It runs just after the first statement with the text `after`, which must be outside a transaction, or just before
    the first one with the text `before`, which may be inside. SQLite has one writer: there `before` means before the
    transaction.
    """
    rival = Rival(act)
    if before and not is_postgresql():
        _let_go(rival)

    def execute(run, sql, params, many, context):
        now = (after or before) in sql and not rival.ident
        if now and before:
            _let_go(rival)
        result = run(sql, params, many, context)
        if now and after:
            _let_go(rival)
        return result

    with connection.execute_wrapper(execute):
        yield rival
    assert rival.ident, f"no statement had {after or before!r}: there was no race"


def _let_go(rival: Rival) -> None:
    rival.start()
    rival.join()
