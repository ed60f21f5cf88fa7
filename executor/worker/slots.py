"""The slots of a worker: how many tasks it may hold, and the claimed ones that wait for a place on the event loop."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable
from itertools import count
from uuid import UUID

from executor.domain.messages import ClaimedTask

PREFETCH_SECONDS = 0.02  # a slot may hold about that much waiting work
MAX_PREFETCH = 8  # tasks per slot
DECAY = 0.7  # of the longest duration, from one group of outcomes to the next


class SlotPool:
    """The only count of a worker's free slots. Thread-safe.

    A slot is taken from the moment that a commit may claim a task for it until a commit has recorded that task's
    outcome and claimed no other. While tasks are so short that the next ones would wait longer for the database than
    they run, each place on the event loop counts as several slots: tasks are prefetched.
    """

    def __init__(self, concurrency: int):
        self.concurrency = concurrency
        self._taken = 0
        self._longest = PREFETCH_SECONDS  # seconds; of the last tasks
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Slots of claimed tasks, and those that a commit under way may claim for."""
        return self._taken

    @property
    def free(self) -> int:
        """The number of further tasks that the worker can hold; negative after tasks became longer."""
        return self.concurrency * self._depth - self._taken

    @property
    def _depth(self) -> int:
        return max(1, min(MAX_PREFETCH, int(PREFETCH_SECONDS / self._longest)))

    def grant(self, ended: int) -> int:
        """Return how many tasks a commit may claim that records the outcomes of `ended` tasks.

        These slots are taken until `release` gives back the unused ones.
        """
        with self._lock:
            room = max(0, self.free + ended)
            self._taken += room - ended
            return room

    def release(self, slots: int) -> None:
        """Return slots that no claim was made for."""
        with self._lock:
            self._taken -= slots
            if not self._taken:
                self._longest = PREFETCH_SECONDS  # tasks after a pause may be of another kind

    def observe(self, durations: Iterable[float]) -> None:
        """Adapt the prefetch to the durations of tasks that just ended, in seconds."""
        with self._lock:
            self._longest = max(*durations, self._longest * DECAY, PREFETCH_SECONDS / MAX_PREFETCH)


class Prefetched:
    """Claimed tasks that wait for a place on the event loop, highest priority first.

    Only `tasks` is used outside the event loop's thread.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, ClaimedTask]] = []
        self._serial = count()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def push(self, task: ClaimedTask) -> None:
        """Add a task."""
        heapq.heappush(self._heap, (-task.priority, next(self._serial), task))

    def pop(self) -> ClaimedTask:
        """Remove and return the next task to start."""
        return heapq.heappop(self._heap)[2]

    def tasks(self) -> list[ClaimedTask]:
        """Return all waiting tasks. May be called from any thread."""
        return [task for _, _, task in self._heap.copy()]

    def remove(self, task_id: UUID, attempt: int) -> ClaimedTask | None:
        """Remove and return a task that waits for this attempt; None when it is not here."""
        for entry in self._heap:
            if (entry[2].task_id, entry[2].attempt) == (task_id, attempt):
                self._heap.remove(entry)
                heapq.heapify(self._heap)
                return entry[2]
        return None

    def drain(self) -> list[ClaimedTask]:
        """Remove and return all tasks."""
        tasks = self.tasks()
        self._heap.clear()
        return tasks
