"""How much memory processes use while something goes on."""

from __future__ import annotations

import threading
from contextlib import suppress

import psutil


def resident(pids: list[int]) -> int:
    """Bytes of memory of these processes together; of one that has ended, none."""
    total = 0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            total += psutil.Process(pid).memory_info().rss
    return total


class Peak:
    """The most that was used meanwhile, in bytes, and what was used at first: `with Peak(pids) as peak: …`."""

    def __init__(self, pids: list[int], every: float = 0.01):
        self._pids, self._every = pids, every
        self.first = self.most = resident(pids)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._ended.wait(self._every):
            self.most = max(self.most, resident(self._pids))

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def over(self) -> float:
        """Megabytes more than at first."""
        return round((self.most - self.first) / 1e6, 1)


def workers() -> list[int]:
    """The worker processes that live."""
    from executor.models import WorkerNode

    return list(WorkerNode.objects.filter(state=WorkerNode.State.ACTIVE).values_list("pid", flat=True))
