"""The worker's heartbeat thread: it writes heartbeats, stops attempts on request, and repairs.

It has its own database connection, so that neither a busy event loop nor a waiting completer silences it.
"""

from __future__ import annotations

import logging
import os
import random
import threading
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from executor.db.clock import SYSTEM_CLOCK, Clock
from executor.db.dialect import database_now, from_db_id
from executor.db.statements import query
from executor.domain.states import BatchState
from executor.models import WorkerNode
from executor.queue import retention
from executor.queue.repair import repair, seconds_until_due

from .attempt import Stop
from .liveness import beat, limit_idle_transactions
from .silence import SilenceJudge
from .usage import Usage

logger = logging.getLogger(__name__)

POLL_INTERVAL = 0.4  # seconds between polls for stop requests: a cancel reaches a running attempt in under a second
IDLE_POLL_INTERVAL = 1.0  # seconds, while nothing runs
FIRST_TICKET_LIMIT = 1.0  # seconds; a starting worker soon issues tickets that an outage of Redis delayed
REPAIR_INTERVAL = 1.0  # seconds between repairs, over all workers together
PRUNE_INTERVAL = 600.0  # seconds between searches for rows that are too old

_OWN_TASKS = """
    SELECT task_id, attempt, cancel_requested_at IS NOT NULL, state, stop_forced
    FROM executor_batchtask JOIN executor_batch USING (batch_id) WHERE worker = %s AND status = 'running'
"""


class HeartbeatListener(Protocol):
    """The worker as its heartbeat uses it. All methods are called in the heartbeat's thread."""

    def held(self) -> dict[UUID, int]:
        """Return the claims of this worker: task id → attempt number."""

    def stop_attempt(self, task_id: UUID, attempt: int, why: Stop) -> None:
        """End the attempt of a task."""

    def declared_dead(self) -> None:
        """Give up all claims: the tasks were rescued."""

    def overdue(self) -> float:
        """Return for how many seconds the latest attempt should be over by its timeout; 0 when none is."""


class Heartbeat(threading.Thread):
    """The heartbeat of one worker name. `grace` is that of the SilenceJudge."""

    def __init__(self, name: str, listener: HeartbeatListener, grace: float = 0.0, clock: Clock = SYSTEM_CLOCK):
        super().__init__(name="heartbeat", daemon=True)
        self.worker = name
        self.state: str = WorkerNode.State.ACTIVE
        self.judge = SilenceJudge(clock, settings.BATCH_HEARTBEAT_LIMIT, grace)
        self._listener, self._clock = listener, clock
        self._wake = threading.Event()
        self._usage = Usage()
        self._missing: set[UUID] = set()
        self._was_blocked = False
        now = clock.monotonic()
        self._next_beat = self._next_repair = now
        self._next_prune = now + random.uniform(0.1, 1.0) * PRUNE_INTERVAL
        self._ticket_limit = FIRST_TICKET_LIMIT

    def set_state(self, state: str) -> None:
        """Change the worker's state, and write it at once. STOPPED ends the thread."""
        self.state = state
        self._wake.set()

    def run(self) -> None:
        """Beat until the state is STOPPED."""
        limit_idle_transactions()
        while self.state != WorkerNode.State.STOPPED:
            try:
                self._round()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("no heartbeat, the database is unavailable: %s", error)
                connection.close()
            except Exception:
                logger.exception("a heartbeat failed")  # the next one may succeed; a silent worker loses its tasks
            if self.state != WorkerNode.State.STOPPED:  # the round may have cleared the wake-up for this state
                self._wake.wait(self._pause())
        try:
            beat(self.worker, self._clock, state=WorkerNode.State.STOPPED, running=0)
        except (DatabaseError, InterfaceError):
            pass  # the missing heartbeat has the same effect
        connection.close()

    def _round(self) -> None:
        now = self._clock.monotonic()
        if now >= self._next_beat or self._wake.is_set():
            self._wake.clear()
            self.send()
            self._next_beat = now + settings.BATCH_HEARTBEAT
        self._poll_stop_requests()
        self._end_if_blocked()
        if now >= self._next_repair:
            self.repair()
            self._ticket_limit = settings.BATCH_TICKET_LIMIT
            self._next_repair = self._clock.monotonic() + self._repair_pause()
        if now >= self._next_prune:
            has_more = retention.prune()
            self._next_prune = now + (POLL_INTERVAL if has_more else PRUNE_INTERVAL)

    def send(self) -> None:
        """Write one heartbeat, with state and usage."""
        usage = self._usage.measure()
        if not beat(self.worker, self._clock, state=self.state, running=len(self._listener.held()), **usage):
            logger.error("this worker was silent for too long; its tasks were rescued")
            self._listener.declared_dead()
        self.judge.beaten()

    def repair(self) -> None:
        """Run one round of repair; rescue only if the silence of others is evidence."""
        repair(self.judge.may_judge(), self._ticket_limit, self._clock)

    def _pause(self) -> float:
        poll = POLL_INTERVAL if self._listener.held() else IDLE_POLL_INTERVAL
        due = min(self._next_repair, self._next_beat) - self._clock.monotonic()
        return max(0.05, min(poll, due))

    def _poll_stop_requests(self) -> None:
        """Stop attempts that are cancelled, whose batch is stopped by force, or whose claim is lost."""
        own = self._listener.held()
        if not own:
            self._missing.clear()
            return
        held = {}
        for row_id, attempt, cancel, state, forced in query(_OWN_TASKS, [self.worker]):
            task_id = from_db_id(row_id)
            held[task_id] = attempt
            if cancel:
                self._listener.stop_attempt(task_id, attempt, Stop.CANCELLED)
            elif forced and state == BatchState.STOPPING:
                self._listener.stop_attempt(task_id, attempt, Stop.RELEASED)
        missing = {task_id for task_id, attempt in own.items() if held.get(task_id) != attempt}
        # Missing twice: a task whose outcome the completer is just recording is missing once.
        for task_id in missing & self._missing:
            self._listener.stop_attempt(task_id, own[task_id], Stop.CLAIM_LOST)
        self._missing = missing

    def _end_if_blocked(self) -> None:
        """End the process when its event loop is blocked and an attempt long over its timeout.

        A coroutine that never yields blocks its own timeout and all its neighbours, and nothing else can end it. The
        tasks are rescued, and a supervisor starts another worker.
        """
        is_blocked = self._listener.overdue() > settings.BATCH_HEARTBEAT_LIMIT
        if is_blocked and self._was_blocked:  # twice: after a suspend of the machine the loop gets its turn first
            logger.critical("the event loop is blocked and an attempt long over its timeout: this worker ends")
            os._exit(1)
        self._was_blocked = is_blocked

    def _repair_pause(self) -> float:
        """Return the seconds until this worker's next repair: the workers share the work, and no due task waits."""
        cutoff = database_now() - timedelta(seconds=2 * settings.BATCH_HEARTBEAT)
        workers = WorkerNode.objects.filter(state=WorkerNode.State.ACTIVE, heartbeat_at__gte=cutoff).count()
        pause = REPAIR_INTERVAL * max(1, min(workers, 10)) * random.uniform(0.8, 1.2)
        due = seconds_until_due()
        return pause if due is None else min(pause, max(due, 0.02))
