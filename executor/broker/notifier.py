"""The bell: tells every web process that a batch has new frames. It carries no news itself; the log does.

Ringing never waits: a thread of its own sends, at most once per batch and tenth of a second. A bell that is lost costs
a second, because readers also look by themselves.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
from collections.abc import Iterable

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

GAP = 0.1  # seconds between two rings
LEAD = 0.01  # seconds before a ring: what made the change still has an answer to give, and needs the interpreter


def group_of(batch_id: str) -> str:
    """The Channels group of those who watch a batch."""
    return f"batch.{batch_id}"


class Bell:
    """The ringing thread of this process; started by the first ring."""

    def __init__(self):
        self._dirty: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, batch_ids: Iterable[str]) -> None:
        """Say that these batches (32 hex digits each) changed; returns at once."""
        with self._lock:
            self._dirty.update(batch_ids)
            if not self._dirty:
                return
            self._idle.clear()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
                atexit.register(self._idle.wait, 1.0)  # a short command still gets its ring out
        self._wake.set()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while True:
                self._wake.wait()
                time.sleep(LEAD)
                self._wake.clear()
                with self._lock:
                    dirty, self._dirty = self._dirty, set()
                try:
                    runner.run(_send(dirty))
                except Exception as error:  # Redis is away: readers look by themselves
                    logger.debug("no bell: %s", error)
                with self._lock:
                    if not self._dirty:
                        self._idle.set()
                time.sleep(GAP - LEAD)


async def _send(batch_ids: set[str]) -> None:
    layer = get_channel_layer()
    for batch_id in batch_ids:
        await layer.group_send(group_of(batch_id), {"type": "bell", "batch_id": batch_id})


_bell = Bell()
ring = _bell.ring
