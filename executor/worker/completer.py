"""The completer: one thread that owns the worker's writes to tasks.

While a commit is under way it collects outcomes, tickets and progress reports, and then writes all of them in one
transaction: outcomes first, which frees slots; then claims; then tickets for the slots that are still free. While the
database is unavailable the outcomes wait here, and are written when it is back, if their claims still stand.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Protocol

from django.db import DatabaseError, InterfaceError, connection

from executor.broker import tickets as broker
from executor.db.failpoints import failpoint
from executor.domain.messages import ClaimedTask, Outcome, Progress, Released, Ticket
from executor.domain.states import PRIORITIES
from executor.queue.batch_queue import BatchQueue
from executor.queue.dispatch import fill_slots, publish

from .liveness import is_fresh, limit_idle_transactions
from .slots import SlotPool

logger = logging.getLogger(__name__)

Entry = Outcome | Progress | Ticket

MAX_ENTRIES = 200  # of one commit
RETRY_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)  # seconds between tries while the database is unavailable


class CompleterListener(Protocol):
    """Receiver of a completer's reports. All methods are called in its thread."""

    def committed(self, claimed: list[ClaimedTask], unused: int) -> None:
        """Take over claimed tasks, and the granted slots for which there was none; before any ticket goes out."""

    def is_waiting_for_tickets(self) -> bool:
        """Return whether the worker is blocked in Redis, so that issued tickets reach it without another request."""

    def completer_failed(self) -> None:
        """End the worker: nothing can be recorded any more."""


@dataclass(slots=True)
class WriteBatch:
    """The entries of one commit."""

    outcomes: list[Outcome] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    reports: list[Progress] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Add an entry to the list of its kind."""
        match entry:
            case Ticket():
                self.tickets.append(entry)
            case Progress():
                self.reports.append(entry)
            case _:
                self.outcomes.append(entry)


class Completer(threading.Thread):
    """Takes outcomes, tickets and progress reports from the event loop, and grants slots to its commits."""

    def __init__(self, worker: str, queues: Sequence[str], slots: SlotPool, listener: CompleterListener):
        super().__init__(name="completer", daemon=True)
        self.worker, self.queues = worker, queues
        self.draining = False  # the worker ends: nothing is claimed, tickets go back
        self.suspended = False  # `rq suspend`: no further tickets are taken
        self._priorities = {priority for priority in PRIORITIES if priority.label in queues}
        self._slots, self._listener = slots, listener
        self._entries: list[Entry | None] = []  # None: end
        # Claims of commits whose answer was lost: released by the next commit, should they stand.
        self._unconfirmed: list[Released] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def submit(self, entries: Sequence[Entry]) -> None:
        """Hand over outcomes to record, tickets to claim, progress to report; return at once."""
        with self._lock:
            self._entries += entries
        self._wake.set()

    def finish(self) -> None:
        """Write the remaining entries, then end the thread."""
        with self._lock:
            self._entries.append(None)
        self._wake.set()

    def run(self) -> None:
        """Write until `finish`."""
        limit_idle_transactions()
        try:
            while self._write_next():
                pass
        except Exception:
            # A worker that cannot record must not claim further tasks: it ends, and its tasks are rescued.
            logger.exception("the completer failed")
            self._listener.completer_failed()
        finally:
            connection.close()

    def _write_next(self) -> bool:
        """Wait for entries and write them; return False after the last ones."""
        self._wake.wait()
        with self._lock:
            entries, self._entries = self._entries[:MAX_ENTRIES], self._entries[MAX_ENTRIES:]
            if not self._entries:
                self._wake.clear()
        batch = WriteBatch()
        for entry in entries:
            if entry is not None:
                batch.add(entry)
        if batch.outcomes or batch.tickets:
            self._commit(batch, self._slots.grant(ended=len(batch.outcomes)))
        elif batch.reports:
            self._commit(batch, 0)
        return None not in entries

    def _commit(self, batch: WriteBatch, room: int) -> None:
        """Write a batch, and claim tasks for up to `room` slots."""
        if batch.outcomes and not self._is_paused and not self._listener.is_waiting_for_tickets():
            # The slots that this commit frees are given away in it, to waiting tickets first: their batches would
            # starve if a worker only went on with its own.
            batch.tickets += self._take_tickets(room - len(batch.tickets))
        for pause in chain(RETRY_PAUSES, repeat(RETRY_PAUSES[-1])):
            try:
                queue, claimed = self._write(batch, room)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("%d outcomes wait for the database: %s", len(batch.outcomes), error)
                connection.close()
                batch.tickets = []  # they count as lost and are issued again; a late claim would be stale
                if not batch.outcomes and not self._unconfirmed:
                    self._listener.committed([], room)
                    return
                time.sleep(pause)
            else:
                self._listener.committed(claimed, room - len(claimed))
                publish(queue)
                return

    def _write(self, batch: WriteBatch, room: int) -> tuple[BatchQueue, list[ClaimedTask]]:
        """Run one transaction and return it with the tasks that it claimed."""
        failpoint("before-finish", batch.outcomes)
        written = [outcome.claim for outcome in (*batch.outcomes, *batch.reports, *self._unconfirmed)]
        batch_ids = {claim.batch_id for claim in written} | {ticket.batch_id for ticket in batch.tickets}
        with BatchQueue(batch_ids, self.worker) as queue:
            queue.record_progress(batch.reports, self.worker)
            queue.record_outcomes([*batch.outcomes, *self._unconfirmed], self.worker)
            failpoint("finish-uncommitted", batch.outcomes)
            failpoint("before-claim", batch.tickets)
            claimed = self._claim(queue, batch.tickets, room)
            self._unconfirmed += [Released(task.claim) for task in claimed]
            failpoint("claim-uncommitted", claimed)
            fill_slots(queue)
        failpoint("after-finish", batch.outcomes)
        failpoint("after-claim", claimed)
        self._unconfirmed = []
        return queue, claimed

    def _claim(self, queue: BatchQueue, tickets: Sequence[Ticket], room: int) -> list[ClaimedTask]:
        if self.draining or not queue.batches or not is_fresh(queue.heartbeat_at, queue.now):
            queue.clear_tickets([ticket.task_id for ticket in tickets])
            return []
        claimed = queue.claim_tickets(tickets, self.worker, room)
        if len(claimed) < room and not self.suspended:
            claimed += queue.claim_more(room - len(claimed), self.worker, self._priorities)
        return claimed

    @property
    def _is_paused(self) -> bool:
        return self.draining or self.suspended

    def _take_tickets(self, room: int) -> list[Ticket]:
        try:
            return broker.take_waiting(self.queues, room) if room > 0 else []
        except broker.RedisError:
            return []  # the worker continues with its own batches
