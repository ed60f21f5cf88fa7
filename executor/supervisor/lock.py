"""Locks that end with the processes that hold them, however those end."""

import fcntl
import os
from pathlib import Path


def take_lock(path: Path) -> int | None:
    """The file descriptor that holds the lock, or None when somebody else holds it. The file tells who."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    os.truncate(fd, 0)
    os.write(fd, str(os.getpid()).encode())
    return fd


def holder(path: Path) -> str:
    """The process that wrote itself into the lock."""
    try:
        return path.read_text().strip() or "unknown"
    except OSError:
        return "unknown"
