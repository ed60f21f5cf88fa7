"""What a worker uses: its own process, its children, and what those have started."""

from __future__ import annotations

import time

import psutil

WEIGH = 30.0  # seconds between two looks at the memory of each child


class Usage:
    """CPU in percent of one processor since the last look, memory in bytes."""

    def __init__(self):
        self._own = psutil.Process()
        self._own.cpu_percent()
        self._family: dict[psutil.Process, psutil.Process] = {}  # the same objects from look to look: they count
        self._weights: dict[psutil.Process, int] = {}
        self._weigh_at = 0.0

    def look(self) -> dict[str, float]:
        """`cpu_percent` and `memory_bytes` of all of them together."""
        family = self._own.children(recursive=True)
        self._family = {child: self._family.get(child, child) for child in family}
        if time.monotonic() >= self._weigh_at:
            self._weights.clear()
            self._weigh_at = time.monotonic() + WEIGH
        percent, memory = self._own.cpu_percent(), self._own.memory_info().rss
        for child in self._family.values():
            try:
                percent += child.cpu_percent()
                if child not in self._weights:
                    self._weights[child] = _weight(child)
                memory += self._weights[child]
            except psutil.Error:
                pass  # it ended between the two looks
        return {"cpu_percent": percent, "memory_bytes": memory}


def _weight(process: psutil.Process) -> int:
    """The process's part of the memory. Children are forks, and share most of theirs: the sum of what each of them
    could call its own would be many times what is used. To find that out takes half a millisecond."""
    try:
        told = process.memory_full_info()
    except psutil.AccessDenied:  # it runs as somebody else
        return process.memory_info().rss
    return getattr(told, "pss", told.uss)  # only Linux divides what is shared among those who share it
