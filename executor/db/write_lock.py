"""A queue for the writers of SQLite.

SQLite admits one writer and lets the others poll with pauses that grow to 100 ms. A lock file beside the database
orders them instead, with shorter pauses. It is only an order: exclusion is still SQLite's own lock, so a writer that
times out here may go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from django.db import connection

from .statements import is_postgresql

try:
    import fcntl
except ImportError:  # no file locks on this system: SQLite's own polling has to do
    fcntl = None  # type: ignore[assignment]

LOCK_TIMEOUT = 5.0  # seconds before a writer stops waiting for the file and relies on SQLite's lock alone
FIRST_PAUSE, LONGEST_PAUSE = 0.0001, 0.002  # seconds between two tries; a commit takes about a millisecond

_local = threading.local()
_holder_suspended = False  # a writer of this process has timed out, and none has acquired the lock since


@contextmanager
def write_lock() -> Iterator[None]:
    """Wait for this thread's turn to write. Call before the transaction begins; does nothing inside one."""
    file = None if is_postgresql() or connection.in_atomic_block else _lock_file()
    if file is None or not _acquire(file):
        yield
        return
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _lock_file() -> BinaryIO | None:
    """Return this thread's handle of the lock file; None where the database is not a file.

    Each thread has its own handle, because `flock` excludes handles, not threads.
    """
    path = str(connection.settings_dict["NAME"])
    if fcntl is None or ":memory:" in path or "mode=memory" in path:
        return None
    if getattr(_local, "path", None) != path:
        _local.path, _local.file = path, open(f"{path}-turn", "wb")  # noqa: SIM115 - open as long as the thread lives
    file: BinaryIO = _local.file
    return file


def _acquire(file: BinaryIO) -> bool:
    """Acquire the lock; return False on timeout.

    A process that is suspended while it holds the lock must not delay every transaction of this process by the whole
    timeout. So after one timeout the others try once and go on, until the lock has been acquired again.
    """
    global _holder_suspended
    deadline, pause = time.monotonic() + LOCK_TIMEOUT, FIRST_PAUSE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _holder_suspended:
                return False
            if time.monotonic() >= deadline:
                _holder_suspended = True
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        else:
            _holder_suspended = False
            return True
