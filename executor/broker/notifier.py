"""Notifications to web processes: "this batch has new frames". They carry no data; the log does.

`notify` never waits: a thread sends, at most once per batch and tenth of a second. A lost notification costs a second,
because readers also poll.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
from collections.abc import Iterable
from uuid import UUID

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

MIN_INTERVAL = 0.1  # seconds between two notifications
DEBOUNCE = 0.01  # seconds before a notification: the thread that committed still needs the interpreter for its answer
FLUSH_TIMEOUT = 1.0  # seconds that a short-lived command waits at its end for its notification to be sent
MESSAGE_TYPE = "batch.changed"  # Channels calls the handler method of that name: batch_changed


def group_of(batch_id: UUID) -> str:
    """Return the Channels group of a batch's watchers."""
    return f"batch.{batch_id.hex}"


class Notifier:
    """The sending thread of this process, started by the first notification."""

    def __init__(self) -> None:
        self._changed: set[UUID] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._thread: threading.Thread | None = None

    def notify(self, batch_ids: Iterable[UUID]) -> None:
        """Announce that these batches changed; return at once."""
        with self._lock:
            self._changed.update(batch_ids)
            if not self._changed:
                return
            self._idle.clear()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
                self._thread.start()
                atexit.register(self._idle.wait, FLUSH_TIMEOUT)
        self._wake.set()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            while True:
                self._wake.wait()
                time.sleep(DEBOUNCE)
                self._wake.clear()
                with self._lock:
                    changed, self._changed = self._changed, set()
                try:
                    runner.run(_send(changed))
                except Exception as error:  # Redis is unavailable: readers poll
                    logger.debug("no notification: %s", error)
                with self._lock:
                    if not self._changed:
                        self._idle.set()
                time.sleep(MIN_INTERVAL - DEBOUNCE)


async def _send(batch_ids: set[UUID]) -> None:
    layer = get_channel_layer()
    for batch_id in batch_ids:
        await layer.group_send(group_of(batch_id), {"type": MESSAGE_TYPE, "batch_id": batch_id.hex})


_notifier = Notifier()
notify = _notifier.notify
