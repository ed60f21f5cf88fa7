"""Checkpoints: what SQLite has written to its log is carried into the database, and onto the disk, beside the work.

Left to itself SQLite has the commit that makes the log long carry all of it over, which takes 5 ms where a commit takes
0.1. As long as little is written nothing is carried over, though a power cut may take what is only in the log. And
before version 3.51.3 a checkpoint that begins while somebody else writes can lose what was committed
(https://www.sqlite.org/wal.html#walresetbug). So a thread of each process that commits makes small checkpoints, often,
and lets nobody write meanwhile. PostgreSQL has processes of its own for that.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time

from django.db import connection

from executor.driver import is_postgresql
from executor.sql import in_memory, turn

logger = logging.getLogger(__name__)

PAUSE = 0.5  # seconds from a commit to the checkpoint that takes it along
AT_LEAST = 60.0  # seconds between two checkpoints: not everybody who writes says so
PATIENCE = 5.0  # seconds that a checkpoint waits until nobody writes


class Checkpoints:
    """The thread of this process; started by the first commit."""

    def __init__(self):
        self._due = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def due(self) -> None:
        """Say that something was committed; returns at once."""
        if is_postgresql() or in_memory():
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # after a fork the parent's is not
                self._start()
        self._due.set()

    def _start(self) -> None:
        try:
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()
        except RuntimeError as error:  # no more threads: work goes on without, and SQLite sees to the log itself
            logger.warning("no checkpoints: %s", error)

    def _run(self) -> None:
        path = connection.settings_dict["NAME"]
        guard, ours = (sqlite3.connect(path, timeout=PATIENCE, isolation_level=None) for _ in range(2))
        while True:
            self._due.wait(AT_LEAST)
            time.sleep(PAUSE)
            self._due.clear()
            try:
                with turn():
                    all_of_it = _carry_over(guard, ours)
                if not all_of_it:
                    self._due.set()
            except Exception as error:  # the next one may succeed; until then the log grows
                logger.warning("no checkpoint: %s", error)


def _carry_over(guard: sqlite3.Connection, ours: sqlite3.Connection) -> bool:
    """Carry the log over, as far as nobody reads what was before; whether that was all of it."""
    guard.execute("BEGIN IMMEDIATE")  # nobody writes, and so nobody begins the log anew
    try:
        busy, frames, carried = ours.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    finally:
        guard.execute("ROLLBACK")
    return not busy and carried == frames


_checkpoints = Checkpoints()
due = _checkpoints.due
