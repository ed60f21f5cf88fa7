"""CPU and memory of a worker: its own process and all its descendants."""

from __future__ import annotations

import time

import psutil

MEMORY_INTERVAL = 30.0  # seconds between two measurements of each child's memory


class Usage:
    """CPU in percent of one processor since the last measurement, memory in bytes."""

    def __init__(self) -> None:
        self._own = psutil.Process()
        self._own.cpu_percent()
        self._family: dict[psutil.Process, psutil.Process] = {}  # kept: each object measures since its last call
        self._memory: dict[psutil.Process, int] = {}
        self._measure_at = 0.0

    def measure(self) -> dict[str, float]:
        """Return `cpu_percent` and `memory_bytes` of all processes together."""
        family = self._own.children(recursive=True)
        self._family = {child: self._family.get(child, child) for child in family}
        if time.monotonic() >= self._measure_at:
            self._memory.clear()
            self._measure_at = time.monotonic() + MEMORY_INTERVAL
        percent, memory = self._own.cpu_percent(), self._own.memory_info().rss
        for child in self._family.values():
            try:
                percent += child.cpu_percent()
                if child not in self._memory:
                    self._memory[child] = _memory_of(child)
                memory += self._memory[child]
            except psutil.Error:
                pass  # it has ended
        return {"cpu_percent": percent, "memory_bytes": memory}


def _memory_of(process: psutil.Process) -> int:
    """Return a process's share of the memory.

    Children are forks and share most of their pages: a sum of resident sizes would be many times the memory in use.
    Takes half a millisecond.
    """
    try:
        info = process.memory_full_info()
    except psutil.AccessDenied:  # it runs as another user
        return process.memory_info().rss
    return getattr(info, "pss", info.uss)  # only Linux divides shared pages among their users
