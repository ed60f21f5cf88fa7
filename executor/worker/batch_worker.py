"""BatchWorker: an RQ worker that runs many tasks at once.

To RQ it is a worker like any other: registered, listed by `rq info` and django-rq, suspended and shut down by RQ's
commands. But it takes tickets by the handful, claims their tasks in the database, and runs them on one event loop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial

import uvloop
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, connections
from rq.suspension import is_suspended
from rq.worker import BaseWorker, WorkerStatus

from executor.broker.connection import redis_client
from executor.broker.tickets import RedisError, TicketTaker
from executor.db.failpoints import failpoint
from executor.domain.messages import Claimed, Look, Outcome, Progress, Ticket
from executor.functions import has_plain_functions
from executor.models import WorkerNode

from .attempt import Attempt, Stop, not_started
from .child_pool import ProcessPool
from .company import PAUSE
from .completer import Entry, Ledger
from .heartbeat import Heartbeat, new_name, register, tell_sandbox
from .slots import PATIENCE, Slots

logger = logging.getLogger(__name__)

WAIT = 2.0  # seconds that one look for tickets waits
RQ_BEAT = 10.0  # seconds between heartbeats in RQ's own registry
CHILDREN = 32  # child processes at most, unless BATCH_PROCESSES says otherwise


class BatchWorker(BaseWorker):
    """Settings: BATCH_CONCURRENCY tasks at once, BATCH_PROCESSES child processes, BATCH_GRACE seconds after SIGTERM."""

    def __init__(self, *args, **kwargs):
        name = kwargs.pop("name", None) or new_name()
        kwargs.update(worker_ttl=30, connection=redis_client())  # ours has short timeouts
        super().__init__(*args, name=name, **kwargs)
        for queue in self.queues:
            queue.connection = self.connection
        self.concurrency = settings.BATCH_CONCURRENCY
        self.node_name = name  # a worker that was declared dead goes on under another
        self.attempts: dict[str, Attempt] = {}
        self._outcomes: list[Outcome] = []
        self._slots = Slots(self.concurrency)
        self._patience: asyncio.TimerHandle | None = None
        self._started_at = 0.0
        self._burst = self._suspended = False
        self._away = True  # no ledger and no heartbeat: not begun yet, or declared dead and not back yet

    def work(self, burst: bool = False, logging_level: str | None = "INFO", **rq_options) -> bool:
        """Run until told to stop (or, in burst mode, until there is nothing to do). RQ's other options have no
        meaning here: the database decides when a task runs."""
        connections.close_all()  # a connection that was opened before a fork is the parent's
        self._burst = burst
        self.bootstrap(logging_level)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(self._main())
        finally:
            try:
                self.teardown()
            except RedisError:
                pass  # RQ forgets us by itself after a minute

    def handle_payload(self, message):
        """RQ's commands: only the shutdown makes sense here. The others kill process groups of their own guess."""
        if b'"shutdown"' in message.get("data", b""):
            os.kill(os.getpid(), signal.SIGTERM)

    # --- the event loop --------------------------------------------------------------------------

    async def _main(self) -> bool:
        self._loop = asyncio.get_running_loop()
        self._stopping, self._now, self._room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._quiet = asyncio.Event()
        self._done = 0
        self._room.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal)
        self._processes = ProcessPool(settings.BATCH_PROCESSES or min(self.concurrency, CHILDREN))
        if has_plain_functions():
            self._processes.warm_up()
        # What is loaded by now stays. To look through all of it for garbage would hold up every task for 50 ms.
        gc.collect()
        gc.freeze()
        await asyncio.to_thread(self._register)
        self._taker = TicketTaker(self.queue_names())
        self._start_threads()
        self._tell_supervisor()
        chores = asyncio.create_task(self._chores())
        await self._until_stopping(self._take_tickets())
        self._taker.close()  # a ticket that is lost on the way is issued again
        await self._drain()
        chores.cancel()
        self._processes.close()
        return bool(self._done)

    def _register(self) -> None:
        register(self.node_name, self.concurrency, ",".join(self.queue_names()))
        connection.close()  # the thread may never come again

    def _start_threads(self) -> None:
        self._ledger = Ledger(
            self.node_name,
            self.queue_names(),
            self.concurrency,
            answer=partial(self._call_soon, self._on_commit),
            look_later=partial(self._call_soon, self._look_later),
            tickets_come=lambda: self._taker.waits,
            broken=partial(os._exit, 1),
        )
        self._heartbeat = Heartbeat(
            self.node_name,
            running=self._held,
            stop=partial(self._call_soon, self._stop_attempt),
            lost=partial(self._call_soon, self._on_declared_dead),
            overdue=lambda: max((attempt.overdue for attempt in self.attempts.copy().values()), default=0.0),
            patience=settings.BATCH_HEARTBEAT,
        )
        self._away = False
        if self._stopping.is_set():  # the signal came before we were here
            self._ledger.draining = True
        self._ledger.start()
        self._heartbeat.start()
        threading.Thread(target=tell_sandbox, args=(self.node_name,), name="sandbox", daemon=True).start()

    def _tell_supervisor(self) -> None:
        """Say to whoever started us, if it wants to know, that we take tasks now."""
        if fd := os.environ.pop("BATCH_READY_FD", ""):
            with suppress(OSError), open(int(fd), "wb", buffering=0) as pipe:
                pipe.write(f"{self.node_name}\n".encode())

    def _held(self) -> dict[str, int]:
        """The claims of this worker: task id → attempt number. Called from another thread."""
        running = [attempt.task for attempt in self.attempts.copy().values()]
        return {task.task_id: task.attempt for task in (*self._slots.waiting(), *running)}

    def _enter(self, entries: Sequence[Entry], spare: int = 0) -> None:
        """Hand over to the ledger, with slots that are free besides. While there is none nothing can be recorded, nor
        would it be accepted: tickets are issued again, tasks are others' by now, and only the slots come back."""
        if not self._away:
            self._ledger.enter(entries, spare)
        else:
            self._on_commit([], spare + sum(isinstance(entry, Outcome | Ticket) for entry in entries))

    def _call_soon(self, callback, *args) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            pass  # the loop is closed: nobody needs the answer

    async def _until_stopping(self, work: Coroutine) -> None:
        """Go on with some work until it ends, or cancel it when we are told to stop."""
        working, stopping = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    async def _take_tickets(self) -> None:
        """Take as many tickets as there are free slots; in burst mode, until there is nothing left to do."""
        pause = 0.1
        while not self._stopping.is_set():
            if self._slots.free <= 0 or self._suspended:
                self._room.clear()
                await self._room.wait()
                continue
            try:
                tickets = await self._taker.take(self._slots.free, 0 if self._burst else WAIT)
                pause = 0.1
            except (RedisError, OSError) as error:
                logger.warning("no tickets, Redis is away: %s", error)
                pause = min(pause * 2, 2.0)
                await asyncio.sleep(pause)
                continue
            failpoint("ticket-popped", tickets)
            if tickets:
                spare = max(0, self._slots.free - len(tickets))
                self._slots.held += len(tickets) + spare
                self._enter(tickets, spare)
            elif self._burst and not self._slots.held:
                break
            elif self._burst:
                await asyncio.sleep(0.05)

    def _on_commit(self, claimed: list[Claimed], slots: int) -> None:
        """The ledger has committed: start what was claimed, take back the slots that were not used."""
        for task in claimed:
            self._slots.wait(task)
        self._start_waiting()
        if slots:
            self._slots.came_back(slots)
            self._room.set()
        if self._slots.held:
            self._quiet.clear()
        else:
            self._quiet.set()

    def _start_waiting(self) -> None:
        """Start what waits in the places that are free."""
        while len(self.attempts) < self.concurrency and (task := self._slots.next()):
            self.attempts[task.task_id] = Attempt(task, self._processes, self._on_ended, self._on_told)
            self._started_at = self._loop.time()
        if self._patience is None and self._slots.waiting():
            self._patience = self._loop.call_later(PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        """Give back what waits behind tasks that are not short after all: another worker may have a place for it."""
        self._patience = None
        if self._loop.time() - self._started_at >= PATIENCE:
            self._give_back(Stop.RELEASED)
        self._start_waiting()

    def _give_back(self, why: Stop) -> None:
        """End the claims that wait for a place."""
        self._record([not_started(task, why) for task in self._slots.empty()])

    def _on_ended(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if self.attempts.get(attempt.task.task_id) is attempt:
            del self.attempts[attempt.task.task_id]
        self._done += 1
        self._record([outcome])
        self._start_waiting()

    def _look_later(self, batch_id: str) -> None:
        self._loop.call_later(PAUSE, self._look, batch_id)

    def _look(self, batch_id: str) -> None:
        """See whether others have taken what was left to them."""
        spare = max(0, self._slots.free)
        self._slots.held += spare
        self._enter([Look(batch_id)], spare)

    def _on_told(self, progress: Progress) -> None:
        self._enter([progress])

    def _record(self, outcomes: list[Outcome | None]) -> None:
        """Leave outcomes for the ledger; None where the claim is somebody else's and only its slot comes back."""
        known = [outcome for outcome in outcomes if outcome is not None]
        if known and not self._outcomes:
            # Those that end in the same turn of the loop are recorded in the same commit.
            self._loop.call_soon(self._hand_over)
        self._outcomes += known
        if len(known) < len(outcomes):
            self._on_commit([], len(outcomes) - len(known))

    def _hand_over(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        self._enter(outcomes, self._slots.offer(outcome.execution_time for outcome in outcomes))

    def _stop_attempt(self, task_id: str, why: Stop) -> None:
        if attempt := self.attempts.get(task_id):
            attempt.stop(why)
        elif task := self._slots.leave(task_id):
            self._record([not_started(task, why)])

    def _on_declared_dead(self) -> None:
        """We slept past our heartbeat and our tasks were given away: end them, and go on under a new name."""
        if self._away:
            return  # it was said twice
        self._away = True
        self._give_back(Stop.LOST)
        for attempt in list(self.attempts.values()):
            attempt.stop(Stop.LOST)
        self._heartbeat.say(WorkerNode.State.STOPPED)
        self._ledger.finish()
        self.node_name = new_name()
        threading.Thread(target=self._come_back, daemon=True).start()

    def _come_back(self) -> None:
        while True:
            try:
                self._register()
                break
            except (DatabaseError, InterfaceError) as error:
                logger.warning("cannot come back, the database is away: %s", error)
                connections.close_all()
                time.sleep(1.0)
        connections.close_all()
        self._call_soon(self._start_threads)

    # --- the end ---------------------------------------------------------------------------------

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            logger.info("second signal: releasing what runs")
            self._now.set()
        else:
            logger.info("stopping; running tasks get %g s", settings.BATCH_GRACE)
        self._stopping.set()
        if not self._away:
            self._ledger.draining = True
            self._give_back(Stop.RELEASED)
            self._heartbeat.say(WorkerNode.State.DRAINING)

    async def _drain(self) -> None:
        """Let running tasks end, or release them when the grace period is over; then record everything."""
        self._ledger.draining = True
        self._give_back(Stop.RELEASED)
        if self._slots.held:
            quiet, now = asyncio.create_task(self._quiet.wait()), asyncio.create_task(self._now.wait())
            grace = None if self._burst and not self._stopping.is_set() else settings.BATCH_GRACE
            await asyncio.wait({quiet, now}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            for attempt in list(self.attempts.values()):
                attempt.stop(Stop.RELEASED)
            if not quiet.done():
                await asyncio.wait({quiet}, timeout=5)
            quiet.cancel()
            now.cancel()
        self._ledger.finish()
        await asyncio.to_thread(self._ledger.join, 5)
        self._heartbeat.say(WorkerNode.State.STOPPED)
        await asyncio.to_thread(self._heartbeat.join, 2)

    # --- RQ's own registry -----------------------------------------------------------------------

    async def _chores(self) -> None:
        """Keep RQ's record of us alive, obey `rq suspend`, let idle children go."""
        beat_at = 0.0
        while True:
            try:
                if self._loop.time() >= beat_at:
                    beat_at = self._loop.time() + RQ_BEAT
                    await asyncio.to_thread(self._rq_heartbeat)
                self._suspended = self._ledger.suspended = await asyncio.to_thread(self._is_suspended)
                if not self._suspended:
                    self._room.set()
            except RedisError:
                pass  # the database has our heartbeat; RQ's lists show us again when Redis is back
            self._processes.reap()
            await asyncio.sleep(1.0)

    def _is_suspended(self) -> bool:
        return bool(is_suspended(self.connection))

    def _rq_heartbeat(self) -> None:
        if not self.connection.exists(self.key):  # Redis was flushed
            self.register_birth()
        self.heartbeat()
        self.set_state(WorkerStatus.BUSY if self.attempts else WorkerStatus.IDLE)
