"""The decision whether silent workers are dead."""

from __future__ import annotations

from datetime import datetime

from executor.db.clock import Clock


class SilenceJudge:
    """Excuses the others' silence for a while after this worker's own: the cause may have been the database.

    `limit` is BATCH_HEARTBEAT_LIMIT in seconds. For the first `grace` seconds no worker is declared dead: if the
    database was unavailable until now, the others need a moment for their next heartbeat.
    """

    def __init__(self, clock: Clock, limit: float, grace: float = 0.0):
        self._clock, self._limit = clock, limit
        self._beat_at = clock.monotonic()  # our last heartbeat; before the first one, our start
        self._database_beat_at: datetime | None = None  # the same by the database's clock
        self._grace_until = self._beat_at + grace
        self._excused_until = 0.0

    def may_judge(self) -> bool:
        """Return whether workers without a fresh heartbeat may be declared dead now.

        After a long pause since our own heartbeat, or a step of the database's clock, their silence counts from now on.
        """
        now = self._clock.monotonic()
        passed = now - self._beat_at
        if max(passed, abs(self._database_passed(passed) - passed)) > self._limit / 2:
            # If the previous excuse is still active, extend it by half the limit only: repeated pauses must not delay
            # a rescue forever.
            if self._excused_until > self._beat_at:
                self._excused_until = max(self._excused_until, now + self._limit / 2)
            else:
                self._excused_until = now + self._limit
        return now >= max(self._grace_until, self._excused_until)

    def _database_passed(self, passed: float) -> float:
        """Return the seconds since our last heartbeat by the database's clock."""
        if self._database_beat_at is None:
            return passed
        return (self._clock.database_now() - self._database_beat_at).total_seconds()

    def beaten(self) -> None:
        """Note that our own heartbeat was written just now."""
        self.may_judge()  # a pause that ends with this heartbeat still excuses the others
        self._beat_at, self._database_beat_at = self._clock.monotonic(), self._clock.database_now()
