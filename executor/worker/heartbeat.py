"""The worker's second thread: it says that the worker lives, looks whose attempts must stop, and repairs.

It has a database connection of its own, so that neither a busy event loop nor a waiting ledger silences it.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from executor import sandbox
from executor.db.dialect import database_now, end_frozen_transactions, hex_of
from executor.db.statements import query
from executor.domain.states import BatchState
from executor.models import WorkerNode
from executor.queue import dispatch, retention

from .attempt import Stop
from .usage import Usage

logger = logging.getLogger(__name__)

FROZEN = 10.0  # seconds of silence in a transaction, at least, that no busy machine explains
LOOK = 0.4  # seconds between looks at the own tasks: a cancel reaches a running attempt in under a second
FIRST_TICKET_LIMIT = 1.0  # seconds; when a worker begins, tickets of a Redis that was away wait for nobody
REPAIR = 1.0  # seconds between repairs, over all workers together
FORGET = 600.0  # seconds between looks for what is too old to be kept

_OURS = """
    SELECT task_id, attempt, cancel_requested_at IS NOT NULL, state, stop_forced
    FROM executor_batchtask JOIN executor_batch USING (batch_id) WHERE worker = %s AND status = 'running'
"""


def new_name(kind: str = "w") -> str:
    """A worker name that was never used before: a claim of an earlier life must not be taken for one of this."""
    return f"{kind}-{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"


def register(name: str, concurrency: int, queues: str = "") -> None:
    """Make this process known to the database. Raises DatabaseError."""
    now = database_now()
    WorkerNode.objects.create(
        name=name,
        host=socket.gethostname(),
        pid=os.getpid(),
        concurrency=concurrency,
        queues=queues,
        started_at=now,
        heartbeat_at=now,
    )


def tell_sandbox(name: str) -> None:
    """Find out how well programs are contained here, and make it known with the worker. Takes a moment."""
    found = sandbox.report()
    try:
        WorkerNode.objects.filter(name=name).update(info={"sandbox": found})
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the database is away and does not hear how well programs are contained: %s", error)
    connection.close()


def beat(name: str, **changes) -> bool:
    """One heartbeat; False when the worker was declared dead meanwhile and its tasks were given to others."""
    node = WorkerNode.objects.filter(name=name).exclude(state=WorkerNode.State.DEAD)
    return bool(node.update(heartbeat_at=database_now(), **changes))


def is_well(heard_at: datetime | None, now: datetime) -> bool:
    """Whether the claims of a worker that was heard of then would stand: one that slept too long finds out here, before
    it claims more."""
    return heard_at is not None and heard_at >= now - timedelta(seconds=settings.BATCH_HEARTBEAT_LIMIT)


def do_not_freeze() -> None:
    """This thread's transactions are ended when they stand still for as long as a worker may be silent."""
    end_frozen_transactions(max(settings.BATCH_HEARTBEAT_LIMIT, FROZEN))


class Heartbeat(threading.Thread):
    """`stop(task_id, why)` and `lost()` are called in this thread; `running()` gives task id → attempt number,
    `overdue()` for how many seconds the latest attempt should be over. For the first `patience` seconds nobody is taken
    for dead: if the database was away until now, the others need a moment to be heard again."""

    def __init__(
        self,
        name: str,
        running: Callable[[], dict[str, int]],
        stop: Callable[[str, Stop], None],
        lost: Callable,
        overdue: Callable[[], float] = lambda: 0.0,
        patience: float = 0.0,
    ):
        super().__init__(name="heartbeat", daemon=True)
        self.worker = name
        self.state = WorkerNode.State.ACTIVE
        self._running, self._halt, self._lost, self._overdue = running, stop, lost, overdue
        self._blocked = False
        self._wake = threading.Event()
        self._ending = False
        self._usage = Usage()
        self._strangers: set[str] = set()
        self._heard_at = time.monotonic()  # our last heartbeat by our clock; before the first one, our beginning
        self._told_at: datetime | None = None  # the same heartbeat by the database's clock
        self._patient_until = time.monotonic() + patience
        self._excused_until = 0.0  # until when the silence of the others means nothing, after one of our own

    def say(self, state: str) -> None:
        """Change the worker's state; the database hears of it at once."""
        self.state = state
        self._ending = state == WorkerNode.State.STOPPED
        self._wake.set()

    def run(self) -> None:
        do_not_freeze()
        next_beat = next_repair = 0.0
        ticket_limit = FIRST_TICKET_LIMIT
        next_forget = time.monotonic() + random.uniform(0.1, 1.0) * FORGET
        while not self._ending:
            try:
                now = time.monotonic()
                if now >= next_beat or self._wake.is_set():
                    self._wake.clear()
                    self._beat()
                    next_beat = now + settings.BATCH_HEARTBEAT
                self._look()
                self._end_if_blocked()
                if now >= next_repair:
                    dispatch.repair(self._may_judge(), ticket_limit)
                    ticket_limit = settings.BATCH_TICKET_LIMIT
                    next_repair = time.monotonic() + self._until_repair()
                if now >= next_forget:
                    more = retention.forget()
                    next_forget = now + (LOOK if more else FORGET)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("no heartbeat, the database is away: %s", error)
                connection.close()
            except Exception:
                logger.exception("a heartbeat failed")  # the next one may not; a silent worker loses its tasks
            due = min(next_repair, next_beat) - time.monotonic()
            self._wake.wait(max(0.05, min(LOOK if self._running() else 1.0, due)))
        try:
            beat(self.worker, state=WorkerNode.State.STOPPED, running=0)
        except (DatabaseError, InterfaceError):
            pass  # silence says the same, later
        connection.close()

    def _beat(self) -> None:
        if not beat(self.worker, state=self.state, running=len(self._running()), **self._usage.look()):
            logger.error("this worker was silent for too long; its tasks went to others")
            self._lost()
        self._may_judge()
        self._heard_at, self._told_at = time.monotonic(), database_now()

    def _may_judge(self) -> bool:
        """Whether others' silence means anything. When our own last heartbeat is long ago, or the database's clock took
        a step since, the others may be as well as we are: their silence counts from now on."""
        now, limit = time.monotonic(), settings.BATCH_HEARTBEAT_LIMIT
        passed = now - self._heard_at
        told = (database_now() - self._told_at).total_seconds() if self._told_at else passed
        if max(passed, abs(told - passed)) > limit / 2:
            # Less where the last time of this kind is not over yet: one after the other must not save the dead.
            again = self._excused_until > self._heard_at
            self._excused_until = max(self._excused_until, now + limit / 2) if again else now + limit
        return now >= max(self._patient_until, self._excused_until)

    def _look(self) -> None:
        """Stop the attempts that somebody cancelled, whose batch is stopped by force, or that are not ours any more."""
        ours = self._running()
        if not ours:
            self._strangers.clear()
            return
        held = {}
        for task_id, attempt, cancel, state, forced in query(_OURS, [self.worker]):
            held[hex_of(task_id)] = attempt
            if cancel:
                self._halt(hex_of(task_id), Stop.CANCELLED)
            elif forced and state == BatchState.STOPPING:
                self._halt(hex_of(task_id), Stop.RELEASED)
        missing = {task_id for task_id, attempt in ours.items() if held.get(task_id) != attempt}
        # Missing twice: an outcome that the ledger is just recording is missing once.
        for task_id in missing & self._strangers:
            self._halt(task_id, Stop.LOST)
        self._strangers = missing

    def _end_if_blocked(self) -> None:
        """A coroutine that never lets go blocks the event loop, and with it its own timeout and all its neighbours.
        Nothing can end it but the end of this process; its tasks are rescued and a supervisor starts another."""
        blocked = self._overdue() > settings.BATCH_HEARTBEAT_LIMIT
        if blocked and self._blocked:  # seen twice: after a sleep of the machine the loop gets its turn first
            logger.critical("the event loop is blocked and an attempt long over its timeout: this worker ends")
            os._exit(1)
        self._blocked = blocked

    def _until_repair(self) -> float:
        """Seconds until this worker's next repair: the workers share the work, and none is late for a due task."""
        cutoff = database_now() - timedelta(seconds=2 * settings.BATCH_HEARTBEAT)
        workers = WorkerNode.objects.filter(state=WorkerNode.State.ACTIVE, heartbeat_at__gte=cutoff).count()
        pause = REPAIR * max(1, min(workers, 10)) * random.uniform(0.8, 1.2)
        due = dispatch.seconds_until_due()
        return pause if due is None else min(pause, max(due, 0.02))
