"""The event loop of a worker: it takes tickets, runs attempts, and hands their outcomes to the completer."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings

from executor.broker.ticket_taker import TicketTaker
from executor.broker.tickets import RedisError
from executor.db.failpoints import failpoint
from executor.domain.messages import ClaimedTask, Completed, Failed, Outcome, Progress

from .attempt import Attempt, Stop, outcome_before_start
from .cancellation import run_until
from .child_pool import ChildPool
from .completer import Entry
from .slots import Prefetched, SlotPool
from .threads import WorkerThreads

logger = logging.getLogger(__name__)

TICKET_WAIT = 2.0  # seconds that one blocking pop waits for a ticket
REDIS_PAUSES = (0.2, 2.0)  # first and longest pause in seconds while Redis is unavailable
BURST_POLL_INTERVAL = 0.05  # seconds between checks for tickets while a burst ends
PREFETCH_PATIENCE = 0.1  # seconds without a start after which prefetched tasks go back to the queue
RECORD_TIMEOUT = 5.0  # seconds that a stopping worker waits for released attempts to end
MAX_CHILDREN = 32  # child processes, unless BATCH_PROCESSES is set


class TaskLoop:
    """The tasks of a worker on the running event loop. Create it there. Implements WorkerListener."""

    def __init__(self, node_name: str, queues: Sequence[str], burst: bool):
        self.burst = burst
        self.attempts: dict[UUID, Attempt] = {}
        self.done = 0  # attempts that have ended
        self._concurrency: int = settings.BATCH_CONCURRENCY
        self._loop = asyncio.get_running_loop()
        self._stopping, self._release_now = asyncio.Event(), asyncio.Event()
        self._has_room, self._is_quiet = asyncio.Event(), asyncio.Event()
        self.children = ChildPool(settings.BATCH_PROCESSES or min(self._concurrency, MAX_CHILDREN))
        self._slots, self._prefetched = SlotPool(self._concurrency), Prefetched()
        self._outcomes: list[Outcome] = []  # of this turn of the loop
        self._patience: asyncio.TimerHandle | None = None
        self._last_start = 0.0
        self._taker = TicketTaker(queues, TICKET_WAIT)
        self._threads = WorkerThreads(node_name, queues, self._slots, self)

    async def start(self) -> None:
        """Register the worker and start its threads."""
        await asyncio.to_thread(self._threads.register)
        self._threads.start()

    async def run(self) -> None:
        """Take and run tasks until `stop`, or in burst mode until there is nothing left to do."""
        await run_until(self._stopping, self._take_tickets())
        await self._taker.close()
        await self._drain()
        self.children.close()

    def stop(self) -> None:
        """Take no further tickets and let running tasks end; the second call releases them now."""
        if self._stopping.is_set():
            logger.info("second signal: releasing the running tasks")
            self._release_now.set()
        else:
            logger.info("stopping; running tasks get %g s", settings.BATCH_GRACE)
        self._stopping.set()
        self._stop_claiming()

    def set_suspended(self, suspended: bool) -> None:
        """Take no further tickets, or take them again."""
        self._threads.suspend(suspended)
        if not suspended:
            self._has_room.set()

    def _on_declared_dead(self) -> None:
        """End all attempts, whose tasks were rescued, and register under a new name."""
        if not self._threads.are_running:
            return  # reported twice
        self._end_prefetched(Stop.CLAIM_LOST)
        for attempt in list(self.attempts.values()):
            attempt.stop(Stop.CLAIM_LOST)
        self._threads.replace(on_registered=lambda: self._call_soon(self._threads.start))

    # --- tickets and claims ----------------------------------------------------------------------

    async def _take_tickets(self) -> None:
        """Take as many tickets as there are free slots; in burst mode, until there is nothing left to do."""
        pause = REDIS_PAUSES[0]
        while not self._stopping.is_set():
            if self._slots.free <= 0 or self._threads.suspended or not self._threads.are_running:
                self._has_room.clear()
                await self._has_room.wait()
                continue
            try:
                tickets = await self._taker.take(self._slots.free, 0 if self.burst else TICKET_WAIT)
                pause = REDIS_PAUSES[0]
            except (RedisError, OSError) as error:
                logger.warning("no tickets, Redis is unavailable: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, REDIS_PAUSES[1])
                continue
            failpoint("ticket-popped", tickets)
            if tickets:
                # Wait for a commit: until then the slots that these tickets will take are not known.
                self._has_room.clear()
                self._submit(tickets)
                await self._has_room.wait()
            elif self.burst and not self._slots.taken and not self._outcomes:
                break
            elif self.burst:
                await asyncio.sleep(BURST_POLL_INTERVAL)

    def _on_commit(self, claimed: list[ClaimedTask], unused: int) -> None:
        """Start the claimed tasks, and take back the slots that were not used."""
        for task in claimed:
            self._prefetched.push(task)
        self._start_tasks()
        self._release_slots(unused)

    def _release_slots(self, slots: int) -> None:
        self._slots.release(slots)
        self._has_room.set()
        if self._slots.taken:
            self._is_quiet.clear()
        else:
            self._is_quiet.set()

    def _start_tasks(self) -> None:
        """Start prefetched tasks in the free places of the event loop."""
        while self._prefetched and len(self.attempts) < self._concurrency:
            task = self._prefetched.pop()
            self.attempts[task.task_id] = Attempt(task, self.children, self._on_end, self._on_progress)
            self._last_start = self._loop.time()
        if self._patience is None and self._prefetched:
            self._patience = self._loop.call_later(PREFETCH_PATIENCE, self._release_prefetched)

    def _release_prefetched(self) -> None:
        """Release prefetched tasks behind attempts that are not short after all: another worker may have room."""
        self._patience = None
        if self._loop.time() - self._last_start >= PREFETCH_PATIENCE:
            self._end_prefetched(Stop.RELEASED)
        self._start_tasks()

    def _end_prefetched(self, why: Stop) -> None:
        self._record([outcome_before_start(task, why) for task in self._prefetched.drain()])

    # --- outcomes --------------------------------------------------------------------------------

    def _on_end(self, attempt: Attempt, outcome: Outcome | None) -> None:
        if self.attempts.get(attempt.task.task_id) is attempt:
            del self.attempts[attempt.task.task_id]
        self.done += 1
        self._record([outcome])
        self._start_tasks()

    def _on_progress(self, report: Progress) -> None:
        self._threads.submit([report])

    def _record(self, outcomes: Sequence[Outcome | None]) -> None:
        """Leave outcomes for the completer. None: the claim was lost, and only its slot is freed."""
        known = [outcome for outcome in outcomes if outcome is not None]
        if known and not self._outcomes:
            # Outcomes of the same turn of the loop are recorded in the same commit.
            self._loop.call_soon(self._submit_outcomes)
        self._outcomes += known
        if lost := len(outcomes) - len(known):
            self._release_slots(lost)

    def _submit_outcomes(self) -> None:
        outcomes, self._outcomes = self._outcomes, []
        durations = [each.execution_time for each in outcomes if isinstance(each, Completed | Failed)]
        if durations:
            self._slots.observe(durations)
        self._submit(outcomes)

    def _submit(self, entries: Sequence[Entry]) -> None:
        if not self._threads.submit(entries):
            self._release_slots(sum(1 for entry in entries if isinstance(entry, Outcome)))

    # --- called in other threads -----------------------------------------------------------------

    def committed(self, claimed: list[ClaimedTask], unused: int) -> None:
        """See CompleterListener."""
        self._call_soon(self._on_commit, claimed, unused)

    def is_waiting_for_tickets(self) -> bool:
        """See CompleterListener."""
        return self._taker.is_waiting

    def completer_failed(self) -> None:
        """See CompleterListener."""
        os._exit(1)

    def held(self) -> dict[UUID, int]:
        """See HeartbeatListener."""
        running = [attempt.task for attempt in self.attempts.copy().values()]
        return {task.task_id: task.attempt for task in (*self._prefetched.tasks(), *running)}

    def stop_attempt(self, task_id: UUID, attempt: int, why: Stop) -> None:
        """See HeartbeatListener."""
        self._call_soon(self._stop_attempt, task_id, attempt, why)

    def declared_dead(self) -> None:
        """See HeartbeatListener."""
        self._call_soon(self._on_declared_dead)

    def overdue(self) -> float:
        """See HeartbeatListener."""
        return max((attempt.overdue for attempt in self.attempts.copy().values()), default=0.0)

    def _call_soon(self, callback: Any, *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            pass  # the loop is closed: the worker has ended

    def _stop_attempt(self, task_id: UUID, number: int, why: Stop) -> None:
        """Stop this attempt, but no later one of the same task."""
        attempt = self.attempts.get(task_id)
        if attempt is not None and attempt.task.attempt == number:
            attempt.stop(why)
        elif task := self._prefetched.remove(task_id, number):
            self._record([outcome_before_start(task, why)])

    def _stop_claiming(self) -> None:
        self._threads.drain()
        self._end_prefetched(Stop.RELEASED)

    async def _drain(self) -> None:
        """Let running tasks end, release them when the grace period is over, and record everything."""
        self._stop_claiming()
        if self._slots.taken:
            self._is_quiet.clear()  # a commit under way may still claim for slots that were granted a moment ago
            quiet, now = asyncio.create_task(self._is_quiet.wait()), asyncio.create_task(self._release_now.wait())
            await asyncio.wait({quiet, now}, timeout=settings.BATCH_GRACE, return_when=asyncio.FIRST_COMPLETED)
            for attempt in list(self.attempts.values()):
                attempt.stop(Stop.RELEASED)
            if not quiet.done():
                await asyncio.wait({quiet}, timeout=RECORD_TIMEOUT)
            quiet.cancel()
            now.cancel()
        await asyncio.to_thread(self._threads.finish)
