"""Operations of callers in a chaos run, and faults of Redis and the database."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from executor.access import caller_of_shell
from executor.actions import BatchExecutor
from executor.broker.connection import redis_client
from executor.broker.ticket_job import queue_key
from executor.broker.tickets import RedisError, name_of
from executor.db.statements import is_postgresql
from executor.domain.errors import BadRequest, Unavailable
from executor.domain.messages import Ticket
from executor.domain.states import BatchState, Priority, TaskStatus
from executor.models import Batch, BatchStats, BatchTask
from executor.queue.batch_queue import BatchQueue
from executor.queue.dispatch import open_batches

from . import load
from .submissions import Submission

T = TypeVar("T")

UNAVAILABLE = (OperationalError, InterfaceError, Unavailable)
DATABASE_TIMEOUT = 60.0  # seconds from the end of the faults until the database must answer
MIN_WAITING = 300  # tasks: with fewer, more are added at once
MAX_WAITING = 3 * MIN_WAITING  # tasks: with more, none are added
SETTLING_LIMIT = 40  # max_concurrent when the faults are over
LIVE = (BatchState.RUNNING, BatchState.STOPPING, BatchState.STOPPED)

# operation → weight, method
OPERATIONS = {
    "batches added": (8, "_add_batch"),
    "cancels": (3, "_cancel"),
    "stops": (2, "_stop"),
    "starts": (3, "_start"),
    "changes of max_concurrent": (3, "_change_limit"),
    "calls repeated with their key": (1, "_repeat"),
    "invalid calls": (1, "_make_invalid_call"),
    "duplicate tickets": (1.5, "_duplicate_tickets"),
    "invalid tickets": (1.5, "_invalid_tickets"),
    "FLUSHALL": (0.6, "_flush"),
    "SQLite's write lock held": (0.5, "_hold_lock"),
}


class Callers:
    """All callers of a run, with their batches and orders."""

    def __init__(self, seed: int, deadline: float):
        self.chance = random.Random(f"callers {seed}")
        self.deadline = deadline
        self.done: Counter = Counter()
        self.submissions: dict[str, Submission] = {}
        self.rejected: list[str] = []  # names of batches in invalid calls
        self.breaches: list[tuple[int, str]] = []  # of invariants that only a caller can check
        self.unavailable = 0  # calls made while the database was unavailable

    def run_operation(self) -> None:
        """Run a random operation."""
        waiting = self.tasks - self.final_tasks()
        weights = [weight for weight, _ in OPERATIONS.values()]
        [(operation, (_, method))] = self.chance.choices(list(OPERATIONS.items()), weights)
        if waiting < MIN_WAITING:
            operation, method = "batches added", "_add_batch"
        elif waiting > MAX_WAITING and method == "_add_batch":
            return
        try:
            if getattr(self, method)() is not False:
                self.done[operation] += 1
        except RedisError:
            pass  # Redis is unavailable: there is no queue to disturb

    def settle(self) -> bool:
        """Start the stopped batches and raise their limits; return whether every task is final."""
        while self._start():
            pass
        for batch in self._retry_while_unavailable(
            lambda: list(Batch.objects.filter(state__in=LIVE, max_concurrent__lt=SETTLING_LIMIT))
        ):
            self._set_limit(str(batch.pk), SETTLING_LIMIT)
        return self.final_tasks() == self.tasks

    def final_tasks(self) -> int:
        """Return the number of final tasks."""

        def count() -> int:
            rows = BatchStats.objects.values_list("queued", "running")
            return self.tasks - sum(queued + running for queued, running in rows)

        return self._retry_while_unavailable(count)

    @property
    def tasks(self) -> int:
        return sum(len(submission.task_ids) for submission in self.submissions.values())

    # --- calls ---

    def _execute(self, action: str, **arguments) -> dict:
        """Execute an action, again while the database is unavailable.

        Raises every other ExecutorError.
        """
        return self._retry_while_unavailable(lambda: BatchExecutor(caller_of_shell()).execute(action, **arguments).data)

    def _order(self, batch_id: str, order: Callable[[BatchQueue], object]) -> int | None:
        """Send a command to the queue; return the number of its frame, or None if it changed nothing."""

        def give() -> int | None:
            with open_batches([UUID(batch_id)]) as queue:
                order(queue)
            return queue.changed.get(UUID(batch_id))

        before = self.unavailable
        seq = self._retry_while_unavailable(give)
        if self.unavailable != before:
            self.submissions[batch_id].orders = None  # the first try may have succeeded, in an unknown frame
        return seq

    def _retry_while_unavailable(self, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except UNAVAILABLE:
                self.unavailable += 1
                connection.close()
                if time.monotonic() > self.deadline + DATABASE_TIMEOUT:
                    raise
                time.sleep(0.1)

    def _random_batch(self, states: Sequence[str] = LIVE) -> str | None:
        found = Batch.objects.filter(state__in=states).order_by("pk").values_list("pk", flat=True)
        known = [
            str(pk) for pk in self._retry_while_unavailable(lambda: list(found.all())) if str(pk) in self.submissions
        ]
        return self.chance.choice(known) if known else None

    # --- operations of callers; each returns False if there was no batch for it ---

    def _add_batch(self) -> None:
        label, limit = str(len(self.submissions) + 1), self.chance.choice((1, 3, 5, 10, 40))
        deadly = int(self.chance.random() < 0.12)
        call = {
            "tasks": load.tasks(self.chance, self.chance.randint(20, 250), label, deadly),
            "name": f"chaos {label}",
            "max_concurrent": limit,
            "start": True,
            "idempotency_key": f"chaos {label}",
        }
        data = self._execute("add_batch", **call)
        submission = self.submissions[data["batch_id"]] = Submission(call, data["task_ids"])
        submission.record_limit(0, limit)

    def _cancel(self) -> bool:
        batch_id = self._random_batch()
        if batch_id is None:
            return False
        submission = self.submissions[batch_id]
        task_ids = self.chance.sample(submission.task_ids, min(len(submission.task_ids), self.chance.randint(1, 5)))
        submission.cancelled.update(task_ids)
        self._execute("cancel", task_ids=task_ids)
        return True

    def _stop(self) -> bool:
        batch_id, force = self._random_batch(), self.chance.random() < 0.3
        if batch_id is None:
            return False
        seq = self._order(batch_id, lambda queue: queue.stop(UUID(batch_id), force))
        self.submissions[batch_id].record_halt(seq, True)
        return True

    def _start(self) -> bool:
        batch_id = self._random_batch((BatchState.STOPPING, BatchState.STOPPED))
        if batch_id is None:
            return False
        seq = self._order(batch_id, lambda queue: queue.start(UUID(batch_id)))
        self.submissions[batch_id].record_halt(seq, False)
        return True

    def _change_limit(self) -> bool:
        batch_id = self._random_batch()
        return batch_id is not None and self._set_limit(batch_id, self.chance.choice((1, 2, 5, 10, 20, SETTLING_LIMIT)))

    def _set_limit(self, batch_id: str, limit: int) -> bool:
        seq = self._order(batch_id, lambda queue: queue.set_max_concurrent(UUID(batch_id), limit))
        self.submissions[batch_id].record_limit(seq, limit)
        return True

    def _repeat(self) -> bool:
        if not self.submissions:
            return False
        batch_id = self.chance.choice(list(self.submissions))
        repeated = self._execute("add_batch", **self.submissions[batch_id].call)["batch_id"]
        if repeated != batch_id:
            self.breaches.append((2, f"the call with the key of batch {batch_id} created batch {repeated}"))
        return True

    def _make_invalid_call(self) -> None:
        name = f"invalid {len(self.rejected) + 1}"
        self.rejected.append(name)
        tasks = [{"function": "chaos_nap"}, {"function": "chaos_nap", "params": {"seconds": "long"}}]
        try:
            self._execute("add_batch", tasks=tasks, name=name, start=True)
        except BadRequest:
            return
        self.breaches.append((10, f"the invalid call {name!r} was accepted"))

    # --- faults of Redis and the database ---

    def _duplicate_tickets(self) -> bool:
        live = BatchTask.objects.filter(status__in=(TaskStatus.QUEUED, TaskStatus.RUNNING)).order_by("number")
        rows = self._retry_while_unavailable(lambda: list(live.values_list("task_id", "attempt", "batch_id")[:40]))
        names = [
            name_of(Ticket(task_id, attempt + ahead, batch_id))
            for task_id, attempt, batch_id in rows
            for ahead in (0, 1, 1, 2)
        ]
        self.chance.shuffle(names)
        return self._push(names)

    def _invalid_tickets(self) -> bool:
        names = [f"{self.chance.getrandbits(128):032x}-1-{self.chance.getrandbits(128):032x}" for _ in range(50)]
        return self._push([*names, "", "\xff", "x" * 10_000, "0" * 32 + "-1-" + "z" * 32])

    def _push(self, names: list[str]) -> bool:
        if not names:
            return False
        for priority in self.chance.sample([*Priority], 2):
            redis_client().rpush(queue_key(priority), *names)
            self.done["duplicate and invalid tickets, one by one"] += len(names)
        return True

    def _flush(self) -> None:
        redis_client().flushall()

    def _hold_lock(self) -> bool:
        if is_postgresql():
            return False  # its locks delay only writers of the same rows
        with transaction.atomic():  # takes the write lock at once
            time.sleep(self.chance.uniform(0.2, 1.0))
        return True
