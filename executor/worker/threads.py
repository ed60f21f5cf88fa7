"""The threads of a worker under its current name: completer and heartbeat.

A worker that was declared dead gives up its name with them, and comes back under a new one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, connections

from executor.models import WorkerNode

from .completer import Completer, CompleterListener, Entry
from .heartbeat import Heartbeat, HeartbeatListener
from .liveness import new_name, record_sandbox_report, register
from .slots import SlotPool

logger = logging.getLogger(__name__)

RECORD_TIMEOUT = 5.0  # seconds that a stopping worker waits for its last outcomes to be recorded
HEARTBEAT_TIMEOUT = 2.0  # seconds that it waits for its last heartbeat
REGISTER_PAUSE = 1.0  # seconds between tries to register again while the database is unavailable


class WorkerListener(CompleterListener, HeartbeatListener, Protocol):
    """Receiver of the threads' reports."""


class WorkerThreads:
    """Completer and heartbeat of one worker. Its methods are called on the event loop unless noted otherwise."""

    def __init__(self, name: str, queues: Sequence[str], slots: SlotPool, listener: WorkerListener):
        self.name, self.queues = name, queues
        self.draining = self.suspended = False
        self._slots, self._listener = slots, listener
        self._completer: Completer | None = None  # None: not started, or declared dead and not registered again
        self._heartbeat: Heartbeat | None = None

    @property
    def are_running(self) -> bool:
        """Whether outcomes and tickets can be handed over now."""
        return self._completer is not None

    def register(self) -> None:
        """Insert the worker's row; call it in another thread. Raises DatabaseError."""
        register(self.name, self._slots.concurrency, ",".join(self.queues))
        connection.close()  # this thread may never run again

    def start(self) -> None:
        """Start the threads. The worker must be registered."""
        self._completer = Completer(self.name, self.queues, self._slots, self._listener)
        self._completer.draining, self._completer.suspended = self.draining, self.suspended
        self._heartbeat = Heartbeat(self.name, self._listener, grace=settings.BATCH_HEARTBEAT)
        self._completer.start()
        self._heartbeat.start()
        threading.Thread(target=record_sandbox_report, args=(self.name,), name="sandbox", daemon=True).start()

    def submit(self, entries: Sequence[Entry]) -> bool:
        """Hand entries to the completer; return False without one.

        Nothing is lost then: tickets are issued again, and outcomes would be refused.
        """
        if self._completer is None:
            return False
        self._completer.submit(entries)
        return True

    def drain(self) -> None:
        """Claim no further tasks."""
        self.draining = True
        if self._completer is not None and self._heartbeat is not None:
            self._completer.draining = True
            self._heartbeat.set_state(WorkerNode.State.DRAINING)

    def suspend(self, suspended: bool) -> None:
        """Take no further tickets, or take them again."""
        self.suspended = suspended
        if self._completer is not None:
            self._completer.suspended = suspended

    def finish(self) -> None:
        """Record the remaining entries and end the threads; blocks, so call it in another thread."""
        if self._completer is not None:
            self._completer.finish()
            self._completer.join(RECORD_TIMEOUT)
        if self._heartbeat is not None:
            self._heartbeat.set_state(WorkerNode.State.STOPPED)
            self._heartbeat.join(HEARTBEAT_TIMEOUT)

    def replace(self, on_registered: Callable[[], None]) -> None:
        """Give up the name, whose tasks were rescued, and register under a new one.

        `on_registered` is called in another thread; until `start` nothing can be submitted.
        """
        if self._completer is not None and self._heartbeat is not None:
            self._heartbeat.set_state(WorkerNode.State.STOPPED)
            self._completer.finish()
        self._completer = None
        self.name = new_name()
        threading.Thread(target=self._come_back, args=(on_registered,), name="come-back", daemon=True).start()

    def _come_back(self, on_registered: Callable[[], None]) -> None:
        while True:
            try:
                self.register()
                break
            except (DatabaseError, InterfaceError) as error:
                logger.warning("cannot register again, the database is unavailable: %s", error)
                connections.close_all()
                time.sleep(REGISTER_PAUSE)
        connections.close_all()
        on_registered()
