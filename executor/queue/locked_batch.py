"""The book of a batch: its counters and its log, kept while its lock is held.

Whoever changes a task of a batch opens the batch's book, notes each move in it, and closes it in the same transaction.
So the counters equal the rows after every commit, and the frames are numbered in commit order without a hole.
"""

from __future__ import annotations

from datetime import datetime

import orjson

from executor.db.dialect import among, database_now, hex_of, time_of, time_param
from executor.db.statements import execute, is_postgresql, query, query_in_turn
from executor.domain.states import CLEARED, LETTER, BatchState, Priority, TaskStatus, settled_state

ERROR_HEAD = 160  # characters of an error that a frame carries

COUNTERS = (
    *("total_tasks", "queued", "running", "completed", "failed", "cancelled"),
    *("queued_critical", "queued_high", "queued_medium", "queued_low"),
    *("total_execution_time", "started", "total_wait_time", "retries", "last_number", "seq"),
)
QUEUED_OF = {priority: f"queued_{priority.label}" for priority in Priority}
STATUSES = tuple(TaskStatus.values)

_COLUMNS = ", ".join(f"s.{name}" for name in (*COUNTERS, "start_time", "end_time"))
_LOCK = f"""
    SELECT b.batch_id, b.owner, b.state, b.max_concurrent, b.stop_forced, {_COLUMNS}
    FROM executor_batch b JOIN executor_batchstats s ON s.batch_id = b.batch_id
    WHERE b.batch_id {{among}} ORDER BY b.batch_id
"""
_LAST_HEARD = "SELECT heartbeat_at FROM executor_workernode WHERE name = %s AND state IN ('active', 'draining')"
_HEARD = f"SELECT ({_LAST_HEARD})"  # a row in any case
_CLOCK_AND_HEARD = f"SELECT clock_timestamp(), ({_LAST_HEARD})"
_SETTLE = "UPDATE executor_batch SET state = %s, max_concurrent = %s, stop_forced = %s WHERE batch_id = %s"
_COUNT = f"""
    UPDATE executor_batchstats
    SET {", ".join(f"{name} = %s" for name in COUNTERS)}, start_time = %s, end_time = %s, changed_at = %s
    WHERE batch_id = %s
"""
_FRAME = "INSERT INTO executor_batchframe (batch_id, seq, at, changes, counts) VALUES (%s, %s, %s, %s, %s)"


class Book:
    """One batch while its lock is held: state, counters, and the changes of this transaction."""

    def __init__(self, row: tuple, now: datetime):
        self.batch_id = hex_of(row[0])
        self.owner, self.state, self.max_concurrent, self.stop_forced = (*row[1:4], bool(row[4]))
        self.counters: dict[str, float] = dict(zip(COUNTERS, row[5:-2], strict=True))
        self.start_time, self.end_time = time_of(row[-2]), time_of(row[-1])
        self.now = now
        self.changes: list[tuple] = []
        self.touched = False  # something but a task changed: state, limit
        self._settled = (self.state, self.max_concurrent, self.stop_forced)

    @property
    def free(self) -> int:
        """How many more tasks may run."""
        return self.max_concurrent - self.counters["running"] if self.state == BatchState.RUNNING else 0

    def waits_above(self, priority: int) -> bool:
        """Whether a queued task has a higher priority than this."""
        return any(self.counters[QUEUED_OF[p]] for p in Priority if p > priority)

    def enters(self, status: str, priority: int, execution_time: float | None = None, count: int = 1) -> None:
        """Count tasks into a status."""
        self.counters["total_tasks"] += count
        self.counters[status] += count
        if status == TaskStatus.QUEUED:
            self.counters[QUEUED_OF[priority]] += count
        elif status in (TaskStatus.COMPLETED, TaskStatus.FAILED):
            self.counters["total_execution_time"] += execution_time or 0.0

    def leaves(self, status: str, priority: int, execution_time: float | None = None, count: int = 1) -> None:
        """Count tasks out of a status."""
        self.enters(status, priority, -(execution_time or 0.0), -count)

    def note(
        self,
        number: int,
        status: str | None,
        attempt: int,
        worker: str | None = None,
        started_at: datetime | None = None,
        duration: float | None = None,
        retry_in: float | None = None,
        error: str | None = None,
        progress: list | None = None,
    ) -> None:
        """Write one task's change into the frame; `status=None` says that it was cleared. Progress is a ninth field,
        there only where a running task told it."""
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

    def close(self) -> bool:
        """Write state, counters and frames; whether there was anything to write."""
        counters = self.counters
        self.state = settled_state(
            self.state, queued=counters["queued"], running=counters["running"], total=counters["total_tasks"]
        )
        settled = (self.state, self.max_concurrent, self.stop_forced)
        if not self.changes and not self.touched and settled == self._settled:
            return False
        if self.state == BatchState.FINISHED:
            self.end_time = self.end_time or self.now
        else:
            self.end_time = None
        if settled != self._settled:
            execute(_SETTLE, [*settled, self.batch_id])
        moment = time_param(self.now)
        counters["seq"] += 1
        counts = orjson.dumps({status: counters[status] for status in STATUSES}).decode()
        changes = orjson.dumps(self.changes).decode()
        frame = [self.batch_id, counters["seq"], moment, changes, counts]
        values = [counters[name] for name in COUNTERS]
        times = [time_param(self.start_time), time_param(self.end_time), moment]
        if is_postgresql():  # both in one round trip
            execute(f"WITH frame AS ({_FRAME}) {_COUNT}", [*frame, *values, *times, self.batch_id])
        else:
            execute(_FRAME, frame)
            execute(_COUNT, [*values, *times, self.batch_id])
        return True


def open_books(batch_ids: list[str], worker: str = "") -> tuple[dict[str, Book], datetime | None]:
    """Lock these batches, in the order of their ids so that two writers cannot wait for each other for ever; the books
    of those that exist, and when the worker was heard of last, None when it is dead or gone.

    Must be called in a transaction. The clock and the worker are asked when the batches are locked.
    """
    ids = sorted({hex_of(batch_id) for batch_id in batch_ids})
    if not ids:
        return {}, None
    condition, parameters = among(ids)
    lock = _LOCK.format(among=condition)
    if is_postgresql():
        # Both rows: a joined row that is not locked would be read as of before the wait for the lock.
        lock += " FOR NO KEY UPDATE OF b, s"
        rows, [(now, heard_at)] = query_in_turn((lock, parameters), (_CLOCK_AND_HEARD, [worker]))
    else:
        rows = query(lock, parameters)
        heard_at = query(_HEARD, [worker])[0][0] if worker else None
        now = database_now()
    books = (Book(row, now) for row in rows)
    return {book.batch_id: book for book in books}, time_of(heard_at)
