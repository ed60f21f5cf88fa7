"""How many tasks a worker holds: one in each of its slots, and more while tasks are so short that the next ones would
wait for the database longer than they take."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from executor.domain.messages import Claimed

SHORT = 0.02  # seconds of work for one slot that may wait in the worker
AHEAD = 8  # tasks for each slot at most
PATIENCE = 0.1  # seconds without a start after which those that wait go back
MEMORY = 0.7  # of the longest duration, from one group of tasks to the next


class Slots:
    """The places of `concurrency` tasks that run, and those that wait for such a place, the best first.

    `held` counts what this worker has claimed and what it has asked for.
    """

    def __init__(self, concurrency: int):
        self.concurrency = concurrency
        self.held = 0
        self._longest = SHORT
        self._waiting: list[tuple[int, int, Claimed]] = []
        self._came = 0

    @property
    def free(self) -> int:
        """How many more tasks may be asked for."""
        return self.concurrency * self._depth - self.held

    @property
    def _depth(self) -> int:
        return max(1, min(AHEAD, int(SHORT / self._longest)))

    def offer(self, durations: Iterable[float]) -> int:
        """How many tasks more, or fewer, are wanted than have just ended after so many seconds; they are held now."""
        durations = list(durations)
        self._longest = max(*durations, self._longest * MEMORY, SHORT / AHEAD)
        more = max(self.free, -len(durations))
        self.held += more
        return more

    def came_back(self, slots: int) -> None:
        """So many tasks that were asked for did not come."""
        self.held -= slots
        if not self.held:
            self._longest = SHORT  # what comes after a pause may be of another kind

    # --- those that wait for a place ---------------------------------------------------------------

    def wait(self, task: Claimed) -> None:
        self._came += 1
        heapq.heappush(self._waiting, (-task.priority, self._came, task))

    def next(self) -> Claimed | None:
        """The best of those that wait."""
        return heapq.heappop(self._waiting)[2] if self._waiting else None

    def waiting(self) -> list[Claimed]:
        """All that wait. May be called from any thread."""
        return [task for _, _, task in self._waiting.copy()]

    def leave(self, task_id: str) -> Claimed | None:
        """Take one out of those that wait, if it is one of them."""
        for entry in self._waiting:
            if entry[2].task_id == task_id:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
                return entry[2]
        return None

    def empty(self) -> list[Claimed]:
        """Take out all that wait."""
        tasks = self.waiting()
        self._waiting.clear()
        return tasks
