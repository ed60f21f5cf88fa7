"""The clocks for heartbeats and limits. Tests pass their own."""

from __future__ import annotations

import time
from datetime import datetime

from .dialect import database_now


class Clock:
    """The process's monotonic clock and the database's clock, which all hosts share."""

    def monotonic(self) -> float:
        """Return seconds that no change of the system time affects."""
        return time.monotonic()

    def database_now(self) -> datetime:
        """Return the database's time, in UTC."""
        return database_now()


SYSTEM_CLOCK = Clock()
