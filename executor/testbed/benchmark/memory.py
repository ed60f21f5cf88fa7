"""Memory of processes."""

from __future__ import annotations

import threading
from contextlib import suppress

import psutil


def resident(pids: list[int]) -> int:
    """Return the resident memory of these processes in bytes; ended ones count as 0."""
    total = 0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            total += psutil.Process(pid).memory_info().rss
    return total


class PeakMemory:
    """Context manager that samples the resident memory of processes: `first` and `most`, in bytes."""

    def __init__(self, pids: list[int], interval: float = 0.01):
        self._pids, self._interval = pids, interval
        self.first = self.most = resident(pids)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._ended.wait(self._interval):
            self.most = max(self.most, resident(self._pids))

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def growth_mb(self) -> float:
        """The peak above the first sample, in megabytes."""
        return round((self.most - self.first) / 1e6, 1)


def worker_pids() -> list[int]:
    """Return the pids of the active workers."""
    from executor.models import WorkerNode

    return list(WorkerNode.objects.filter(state=WorkerNode.State.ACTIVE).values_list("pid", flat=True))
