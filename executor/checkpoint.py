"""Checkpoints: what SQLite has written to its log is carried into the database, and onto the disk, beside the work.

Left to itself SQLite has the commit that makes the log long carry all of it over and wait for the disk: 5 ms where a
commit takes 0.1, and whoever wants to write waits behind it. And as long as little is written nothing is carried over,
though a power cut may take what is only in the log. So a thread of each process that commits does it, half a second
after a commit (https://www.sqlite.org/wal.html#checkpointing). PostgreSQL has processes of its own for that.
"""

from __future__ import annotations

import logging
import threading
import time

from django.db import connection

from executor.driver import is_postgresql, query
from executor.sql import in_memory

logger = logging.getLogger(__name__)

PAUSE = 0.5  # seconds from a commit to the checkpoint that takes it along


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
                self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()
        self._due.set()

    def _run(self) -> None:
        while True:
            self._due.wait()
            time.sleep(PAUSE)
            self._due.clear()
            try:
                query("PRAGMA wal_checkpoint(PASSIVE)")  # waits for nobody: what is still read or written stays
            except Exception as error:  # the next one may succeed; until then the log grows
                logger.warning("no checkpoint: %s", error)
                connection.close()


_checkpoints = Checkpoints()
due = _checkpoints.due
