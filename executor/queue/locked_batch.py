"""A batch while its lock is held: its state, its counters, and the frame of this transaction.

Every change of a task is counted here and recorded in the frame, and `flush` writes both in the same transaction. So
the counters equal the rows after every commit, and the frames are numbered in commit order without a hole.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from executor.db.dialect import database_now, from_db_id, from_db_time, in_clause, to_db_id, to_db_time
from executor.db.statements import execute, is_postgresql, query
from executor.domain.states import CLEARED, LETTER, BatchState, Priority, TaskStatus, settled_state

from . import statements

ERROR_HEAD = 160  # characters of an error that a frame carries
_QUEUED_COUNTERS = {int(priority): priority.queued_counter for priority in Priority}


class LockedBatch:
    """One batch under its lock."""

    def __init__(self, row: tuple[Any, ...], now: datetime):
        self.batch_id = from_db_id(row[0])
        self.owner: str = row[1]
        self.state: str = row[2]
        self.max_concurrent: int = row[3]
        self.stop_forced = bool(row[4])
        self.start_time, self.end_time = from_db_time(row[5]), from_db_time(row[6])
        self.counters: dict[str, Any] = dict(zip(statements.COUNTERS, row[7:], strict=True))
        self.now = now
        self.changes: list[tuple[Any, ...]] = []
        self.is_touched = False  # something else than a task has changed
        self._loaded = self._settings

    @property
    def _settings(self) -> tuple[str, int, bool]:
        return self.state, self.max_concurrent, self.stop_forced

    @property
    def seq(self) -> int:
        """The number of the last frame."""
        return int(self.counters["seq"])

    @property
    def free_slots(self) -> int:
        """The number of further tasks that may run; negative after the limit was lowered."""
        return self.max_concurrent - self.counters["running"] if self.state == BatchState.RUNNING else 0

    def has_queued_above(self, priority: int) -> bool:
        """Return whether a queued task has a higher priority than this."""
        return any(self.counters[each.queued_counter] for each in Priority if each > priority)

    def count_in(self, status: str, priority: int, execution_time: float | None = None, count: int = 1) -> None:
        """Count tasks into a status."""
        self.counters["total_tasks"] += count
        self.counters[status] += count
        if status == TaskStatus.QUEUED:
            self.counters[_QUEUED_COUNTERS[priority]] += count
        elif status in (TaskStatus.COMPLETED, TaskStatus.FAILED):
            self.counters["total_execution_time"] += execution_time or 0.0

    def count_out(self, status: str, priority: int, execution_time: float | None = None, count: int = 1) -> None:
        """Count tasks out of a status."""
        self.count_in(status, priority, -(execution_time or 0.0), -count)

    def record_change(
        self,
        number: int,
        status: str | None,
        attempt: int,
        worker: str | None = None,
        started_at: datetime | None = None,
        duration: float | None = None,
        retry_in: float | None = None,
        error: str | None = None,
        progress: list[Any] | None = None,
    ) -> None:
        """Record one task's change in the frame, as `models.BatchFrame` describes it.

        `status=None` stands for a deleted task; durations are seconds. Progress is a ninth field, only for running
        tasks that have reported some.
        """
        self.changes.append(
            (
                number,
                CLEARED if status is None else LETTER[status],
                attempt,
                worker or None,
                None if started_at is None else int(started_at.timestamp() * 1000),
                None if duration is None else round(duration * 1000, 1),
                None if retry_in is None else round(retry_in * 1000),
                error[:ERROR_HEAD] if error else None,
                *([progress] if progress is not None else []),
            )
        )

    def flush(self) -> bool:
        """Write state, counters and frame; return whether there was anything to write."""
        counters = self.counters
        self.state = settled_state(self.state, counters)
        if not self.changes and not self.is_touched and self._settings == self._loaded:
            return False
        self.end_time = (self.end_time or self.now) if self.state == BatchState.FINISHED else None
        batch_id, now = to_db_id(self.batch_id), to_db_time(self.now)
        if self._settings != self._loaded:
            execute(statements.UPDATE_BATCH, [*self._settings, batch_id])
        counters["seq"] += 1
        counts = orjson.dumps({status: counters[status] for status in TaskStatus.values}).decode()
        execute(statements.INSERT_FRAME, [batch_id, self.seq, now, orjson.dumps(self.changes).decode(), counts])
        values = [counters[name] for name in statements.COUNTERS]
        times = [to_db_time(self.start_time), to_db_time(self.end_time), now]
        execute(statements.UPDATE_COUNTERS, [*values, *times, batch_id])
        return True


def lock_batches(batch_ids: Iterable[UUID]) -> list[LockedBatch]:
    """Lock these batches and return those that exist. Call in a transaction.

    Locks are taken in the order of the ids, so that two writers cannot deadlock. The clock is read once all locks are
    held, so that frames are in the order of their times too.
    """
    ids = sorted(set(batch_ids))
    if not ids:
        return []
    condition, parameters = in_clause(ids)
    lock = statements.LOCK_BATCHES_FOR_UPDATE if is_postgresql() else statements.LOCK_BATCHES
    rows = query(lock.format(ids=condition), parameters)
    now = database_now()
    return [LockedBatch(row, now) for row in rows]
