"""The ledger: one thread that owns the worker's writes to tasks.

It collects outcomes and tickets while a commit is under way, and then records all of them in one transaction: outcomes
first, which frees slots; then claims; then the slots that are still free. Nothing is given up: while the database is
away the outcomes wait here and are written when it is back, if their claims still stand.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import chain, repeat

from django.db import DatabaseError, InterfaceError, connection

from executor import tickets as rq
from executor.dispatch import deliver, fill
from executor.exchange import Claimed, Outcome, Progress, Ticket
from executor.failpoints import failpoint
from executor.queue import BatchQueue
from executor.states import Priority, TaskStatus

from .heartbeat import is_well

logger = logging.getLogger(__name__)

GROUP = 200  # entries of one commit
PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)  # seconds between tries while the database is away


class Ledger(threading.Thread):
    """Takes entries from the event loop, each with the slot that it frees or wants, and how many are wanted besides;
    `answer(claimed, slots)` is called, in this thread, after each commit with the tasks that were claimed and with how
    many slots came back unused. `broken()` is called when it cannot go on."""

    def __init__(
        self,
        worker: str,
        queues: Sequence[str],
        answer: Callable[[list[Claimed], int], None],
        broken: Callable[[], None],
    ):
        super().__init__(name="ledger", daemon=True)
        self.worker, self.queues = worker, queues
        self._priorities = {priority for priority in Priority if priority.label in queues}
        self.draining = False  # the worker ends: tickets go back
        self.suspended = False  # nothing new is taken, as `rq suspend` asked for
        self._answer, self._broken = answer, broken
        self._entries: list[Outcome | Progress | Ticket | None] = []
        self._spare = 0
        # Claims of commits that were not answered, to be given back: nobody runs them, should they stand.
        self._doubtful: list[Outcome] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()

    @property
    def paused(self) -> bool:
        return self.draining or self.suspended

    def enter(self, entries: Sequence[Outcome | Progress | Ticket], spare: int = 0) -> None:
        """Hand over outcomes and progress to record, tickets to redeem, and for how many tasks more than these (or
        fewer) there is room; returns at once."""
        with self._lock:
            self._entries += entries
            self._spare += spare
        self._wake.set()

    def finish(self) -> None:
        """Record what is left, then end."""
        with self._lock:
            self._entries.append(None)
        self._wake.set()

    def run(self) -> None:
        try:
            self._work()
        except Exception:
            # A worker that cannot record must not go on claiming: it ends, and its tasks are rescued.
            logger.exception("the ledger is broken")
            self._broken()
        finally:
            connection.close()

    def _work(self) -> None:
        ending = False
        while not ending:
            self._wake.wait()
            with self._lock:
                group, self._entries = self._entries[:GROUP], self._entries[GROUP:]
                spare, self._spare = self._spare, 0
                if not self._entries:
                    self._wake.clear()
            ending = None in group
            outcomes = [entry for entry in group if isinstance(entry, Outcome)]
            tickets = [entry for entry in group if isinstance(entry, Ticket)]
            told = [entry for entry in group if isinstance(entry, Progress)]
            if outcomes or tickets or told:
                slots = len(outcomes) + len(tickets) + spare
                claimed = self._commit(outcomes, tickets, told, slots)
                self._answer(claimed, slots - len(claimed))

    def _commit(
        self, outcomes: list[Outcome], tickets: list[Ticket], told: list[Progress], slots: int
    ) -> list[Claimed]:
        if outcomes and not self.paused:
            # The slots that become free here are given away in the same transaction: first to tickets that wait.
            tickets = tickets + _waiting_tickets(self.queues, slots - len(tickets))
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                return self._record(outcomes, tickets, told, slots)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("%d outcomes wait for the database: %s", len(outcomes), error)
                connection.close()
                tickets = []  # the database will find that they are lost; a claim must not come late
                if not outcomes and not self._doubtful:
                    break
                time.sleep(pause)
        return []

    def _record(
        self, outcomes: list[Outcome], tickets: list[Ticket], told: list[Progress], slots: int
    ) -> list[Claimed]:
        batches = {entry.batch_id for entry in (*outcomes, *tickets, *told, *self._doubtful)}
        failpoint("before-finish", outcomes)
        with BatchQueue(batches) as queue:
            queue.report(told, self.worker)
            queue.settle([*outcomes, *self._doubtful], self.worker)
            failpoint("finish-uncommitted", outcomes)
            failpoint("before-claim", tickets)
            if self.draining or not queue.books or not is_well(self.worker, queue.now):
                for batch_id in queue.books:
                    queue.reissue(batch_id, [ticket.task_id for ticket in tickets if ticket.batch_id == batch_id])
                claimed = []
            else:
                claimed = queue.redeem(tickets, self.worker)
                if len(tickets) < slots and not self.paused:
                    # Instead of sending a ticket around for each task. Every batch that waits has had its ticket
                    # taken now, so that none is passed over.
                    claimed += queue.take(slots - len(claimed), self.worker, self._priorities)
            self._doubtful += [_given_back(task) for task in claimed]
            failpoint("claim-uncommitted", claimed)
            fill(queue)
        failpoint("after-finish", outcomes)
        failpoint("after-claim", claimed)
        self._doubtful = []
        deliver(queue)
        return claimed


def _given_back(task: Claimed) -> Outcome:
    return Outcome(task.task_id, task.batch_id, task.attempt, TaskStatus.QUEUED, released=True)


def _waiting_tickets(queues: Sequence[str], room: int) -> list[Ticket]:
    try:
        return rq.take_waiting(queues, room) if room > 0 else []
    except rq.RedisError:
        return []  # going on with our own batches is all that can be done
