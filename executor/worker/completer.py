"""The ledger: one thread that owns the worker's writes to tasks.

It collects outcomes and tickets while a commit is under way, and then records all of them in one transaction: outcomes
first, which frees slots; then claims; then the slots that are still free. Nothing is given up: while the database is
away the outcomes wait here and are written when it is back, if their claims still stand.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat

from django.db import DatabaseError, InterfaceError, connection

from executor.broker import tickets as rq
from executor.db.failpoints import failpoint
from executor.domain.messages import Claimed, Look, Outcome, Progress, Ticket
from executor.domain.states import Priority, TaskStatus
from executor.queue.batch_queue import BatchQueue
from executor.queue.dispatch import deliver, fill

from .company import Company
from .heartbeat import do_not_freeze, is_well

logger = logging.getLogger(__name__)

Entry = Outcome | Progress | Ticket | Look

GROUP = 200  # entries of one commit
PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)  # seconds between tries while the database is away


@dataclass
class Page:
    """What one commit is about, and how many tasks there is room for after it."""

    outcomes: list[Outcome] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    told: list[Progress] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    slots: int = 0

    def add(self, entries: Iterable[Entry | None], spare: int) -> None:
        self.slots += spare
        for entry in entries:
            match entry:
                case Outcome():
                    self.outcomes.append(entry)
                    self.slots += 1
                case Ticket():
                    self.tickets.append(entry)
                    self.slots += 1
                case Progress():
                    self.told.append(entry)
                case Look():
                    self.looks.append(entry)

    @property
    def entries(self) -> list[Entry]:
        return [*self.outcomes, *self.tickets, *self.told, *self.looks]


class Ledger(threading.Thread):
    """Takes entries from the event loop, each with the slot that it frees or wants, and how many are wanted besides.

    All callbacks are called in this thread: `answer(claimed, slots)` after each commit, before its tickets go out, with
    the tasks that were claimed and with how many slots came back unused; `look_later(batch_id)` where slots were left
    to others, to have a Look entered soon; `tickets_come()`, whether tickets that are issued now come by themselves;
    `broken()` when it cannot go on. `concurrency` is how many tasks the worker runs at once.
    """

    def __init__(
        self,
        worker: str,
        queues: Sequence[str],
        concurrency: int,
        answer: Callable[[list[Claimed], int], None],
        look_later: Callable[[str], None],
        tickets_come: Callable[[], bool],
        broken: Callable[[], None],
    ):
        super().__init__(name="ledger", daemon=True)
        self.worker, self.queues = worker, queues
        self._company = Company(concurrency)
        self._priorities = {priority for priority in Priority if priority.label in queues}
        self.draining = False  # the worker ends: tickets go back
        self.suspended = False  # nothing new is taken, as `rq suspend` asked for
        self._answer, self._look_later, self._tickets_come, self._broken = answer, look_later, tickets_come, broken
        self._entries: list[Entry | None] = []
        self._spare = 0
        # Claims of commits that were not answered, to be given back: nobody runs them, should they stand.
        self._doubtful: list[Outcome] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()

    @property
    def paused(self) -> bool:
        return self.draining or self.suspended

    def enter(self, entries: Sequence[Entry], spare: int = 0) -> None:
        """Hand over outcomes and progress to record, tickets to redeem, batches to look at, and for how many tasks more
        than the outcomes and tickets (or fewer) there is room; returns at once."""
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
        do_not_freeze()
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
            page = Page()
            self._add(page, group, spare)
            if page.entries:
                self._commit(page)

    def _add(self, page: Page, entries: Sequence[Entry | None], spare: int) -> None:
        page.add(entries, spare)
        self._company.ended([entry for entry in entries if isinstance(entry, Outcome)])

    def _add_what_came(self, page: Page, batches: Container[str]) -> None:
        """While others had the batches' lock, more of their tasks may have ended: that is one commit less."""
        with self._lock:
            room = max(0, GROUP - len(page.entries))
            came = [entry for entry in self._entries if entry is not None and entry.batch_id in batches][:room]
            if not came:
                return
            taken = set(map(id, came))
            self._entries = [entry for entry in self._entries if id(entry) not in taken]
            spare, self._spare = self._spare, 0
        self._add(page, came, spare)

    def _commit(self, page: Page) -> None:
        if page.outcomes and not self.paused and not self._tickets_come():
            # The slots that become free here are given away in the same transaction: first to tickets that wait.
            page.tickets += _waiting_tickets(self.queues, page.slots - len(page.tickets))
        for pause in chain(PAUSES, repeat(PAUSES[-1])):
            try:
                queue, claimed, left = self._record(page)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("%d outcomes wait for the database: %s", len(page.outcomes), error)
                connection.close()
                page.tickets = []  # the database will find that they are lost; a claim must not come late
                if not page.outcomes and not self._doubtful:
                    self._answer([], page.slots)
                    return
                time.sleep(pause)
            else:
                self._tell(page, queue, claimed, left)
                return

    def _record(self, page: Page) -> tuple[BatchQueue, list[Claimed], list[str]]:
        """One transaction: what it claimed, and which batches it left to others."""
        left: list[str] = []
        failpoint("before-finish", page.outcomes)
        with BatchQueue({entry.batch_id for entry in (*page.entries, *self._doubtful)}, self.worker) as queue:
            self._add_what_came(page, queue.books)
            queue.report(page.told, self.worker)
            queue.settle([*page.outcomes, *self._doubtful], self.worker)
            failpoint("finish-uncommitted", page.outcomes)
            failpoint("before-claim", page.tickets)
            if self.draining or not queue.books or not is_well(queue.heard_at, queue.now):
                for batch_id in queue.books:
                    queue.reissue(batch_id, [ticket.task_id for ticket in page.tickets if ticket.batch_id == batch_id])
                claimed = []
            else:
                claimed = queue.redeem(page.tickets, self.worker)
                if len(page.tickets) < page.slots and not self.paused:
                    # Instead of sending a ticket around for each task. Every batch that waits has had its ticket
                    # taken now, so that none is passed over.
                    left = self._left_to_others(queue, page)
                    claimed += queue.take(page.slots - len(claimed), self.worker, self._priorities, left)
            self._doubtful += [_given_back(task) for task in claimed]
            failpoint("claim-uncommitted", claimed)
            fill(queue, left)
        failpoint("after-finish", page.outcomes)
        failpoint("after-claim", claimed)
        self._doubtful = []
        return queue, claimed, left

    def _tell(self, page: Page, queue: BatchQueue, claimed: list[Claimed], left: list[str]) -> None:
        """What follows the commit. The tasks start while the tickets go out."""
        self._company.claimed(claimed)
        self._answer(claimed, page.slots - len(claimed))
        deliver(queue)
        for batch_id in left:
            self._look_later(batch_id)
        if any(task.batch_id == look.batch_id for task in claimed for look in page.looks):
            self._company.were_not_taken()

    def _left_to_others(self, queue: BatchQueue, page: Page) -> list[str]:
        """The batches of which the others may have what is free. They run most of each, so that they will look: no
        ticket need tell them."""
        ended = {outcome.batch_id for outcome in page.outcomes}
        books = [queue.books[batch_id] for batch_id in ended if batch_id in queue.books]
        return [book.batch_id for book in books if self._company.leaves_to_others(book)]


def _given_back(task: Claimed) -> Outcome:
    return Outcome(task.task_id, task.batch_id, task.attempt, TaskStatus.QUEUED, released=True)


def _waiting_tickets(queues: Sequence[str], room: int) -> list[Ticket]:
    try:
        return rq.take_waiting(queues, room) if room > 0 else []
    except rq.RedisError:
        return []  # going on with our own batches is all that can be done
