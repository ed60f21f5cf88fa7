"""Signals to a process group."""

from __future__ import annotations

import os
import signal


def kill_group(group: int, signum: int = signal.SIGKILL) -> None:
    """Send a signal to every process of a group; do nothing if the group has ended."""
    try:
        os.killpg(group, signum)
    except (ProcessLookupError, PermissionError):
        pass  # macOS answers "not permitted" for a group of zombies
