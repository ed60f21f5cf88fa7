"""What callers and strangers do in a chaos run: they hand over tasks, cancel, stop, start, change limits, repeat calls,
make wrong ones, leave false tickets in Redis, empty it, and hold the database's lock."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

from executor.access import caller_of_shell
from executor.actions import BatchExecutor
from executor.broker.connection import redis_client
from executor.broker.tickets import RedisError, name_of, queue_key
from executor.db.dialect import hex_of
from executor.db.statements import is_postgresql
from executor.domain.errors import BadRequest, Unavailable
from executor.domain.messages import Ticket
from executor.domain.states import BatchState, Priority, TaskStatus
from executor.models import Batch, BatchStats, BatchTask
from executor.queue.batch_queue import BatchQueue
from executor.queue.dispatch import open_batches

from . import load
from .handed import Handed

T = TypeVar("T")

AWAY = (OperationalError, InterfaceError, Unavailable)
PATIENCE = 60.0  # seconds after the end of the faults in which the database must answer
ENOUGH = 300  # tasks that wait: with fewer, more are handed over at once
MANY = 3 * ENOUGH  # with so many, none
FREELY = 40  # tasks at once
LIVE = (BatchState.RUNNING, BatchState.STOPPING, BatchState.STOPPED)

# what is done → how often, compared with the others, and by which method
DEEDS = {
    "tasks handed over": (8, "_hand_over"),
    "cancels": (3, "_cancel"),
    "stops": (2, "_stop"),
    "starts": (3, "_start"),
    "changes of max_concurrent": (3, "_change_limit"),
    "calls repeated with their key": (1, "_repeat"),
    "wrong calls": (1, "_call_wrongly"),
    "doubled tickets": (1.5, "_double_tickets"),
    "false tickets": (1.5, "_false_tickets"),
    "FLUSHALL": (0.6, "_flush"),
    "SQLite's write lock held": (0.5, "_hold_lock"),
}


class Callers:
    """All callers of a run: what they handed over, what they asked for, and when."""

    def __init__(self, seed: int, deadline: float):
        self.chance = random.Random(f"callers {seed}")
        self.deadline = deadline
        self.done: Counter = Counter()
        self.handed: dict[str, Handed] = {}
        self.refused: list[str] = []  # the names of wrong calls
        self.mistakes: list[tuple[int, str]] = []  # broken promises that only a caller sees
        self.unavailable = 0  # answers "the database is away"

    # --- from outside ---

    def something(self) -> None:
        """Do one thing, at random."""
        waiting = self.tasks - self.over()
        weights = [often for often, _ in DEEDS.values()]
        [(deed, (_, method))] = self.chance.choices(list(DEEDS.items()), weights)
        if waiting < ENOUGH:
            deed, method = "tasks handed over", "_hand_over"
        elif waiting > MANY and method == "_hand_over":
            return
        try:
            if getattr(self, method)() is not False:
                self.done[deed] += 1
        except RedisError:
            pass  # there is nothing to spoil while it is away

    def settled(self) -> bool:
        """Start whatever was stopped, and let it run freely; whether everything has come to its end."""
        while self._start():
            pass
        for batch in self._insist(lambda: list(Batch.objects.filter(state__in=LIVE, max_concurrent__lt=FREELY))):
            self._limit(str(batch.pk), FREELY)
        return self.over() == self.tasks

    def over(self) -> int:
        """How many tasks have come to their end."""

        def ask() -> int:
            rows = BatchStats.objects.values_list("queued", "running")
            return self.tasks - sum(queued + running for queued, running in rows)

        return self._insist(ask)

    @property
    def tasks(self) -> int:
        return sum(len(handed.task_ids) for handed in self.handed.values())

    # --- how they speak ---

    def _execute(self, action: str, **arguments) -> dict:
        """One call, made again while the database is away. Raises every other ExecutorError."""
        return self._insist(lambda: BatchExecutor(caller_of_shell()).execute(action, **arguments).data)

    def _order(self, batch_id: str, order: Callable[[BatchQueue], object]) -> int | None:
        """Have the queue do something to a batch; the number of the frame that tells it, None when there is none."""

        def once() -> int | None:
            with open_batches([batch_id]) as queue:
                order(queue)
            return queue.changed.get(hex_of(batch_id))

        before = self.unavailable
        seq = self._insist(once)
        if self.unavailable != before:
            self.handed[batch_id].orders = None  # it may have been done at the first try, in a frame nobody knows
        return seq

    def _insist(self, once: Callable[[], T]) -> T:
        while True:
            try:
                return once()
            except AWAY:
                self.unavailable += 1
                connection.close()
                if time.monotonic() > self.deadline + PATIENCE:
                    raise
                time.sleep(0.1)

    def _a_batch(self, states: Sequence[str] = LIVE) -> str | None:
        found = Batch.objects.filter(state__in=states).order_by("pk").values_list("pk", flat=True)
        known = [str(pk) for pk in self._insist(lambda: list(found.all())) if str(pk) in self.handed]
        return self.chance.choice(known) if known else None

    # --- what callers do: False when there was nothing to do it to ---

    def _hand_over(self) -> None:
        label, limit = str(len(self.handed) + 1), self.chance.choice((1, 3, 5, 10, 40))
        deadly = int(self.chance.random() < 0.12)
        call = {
            "tasks": load.tasks(self.chance, self.chance.randint(20, 250), label, deadly),
            "name": f"chaos {label}",
            "max_concurrent": limit,
            "start": True,
            "idempotency_key": f"chaos {label}",
        }
        data = self._execute("add_batch", **call)
        handed = self.handed[data["batch_id"]] = Handed(call, data["task_ids"])
        handed.note_limit(0, limit)

    def _cancel(self) -> bool:
        batch_id = self._a_batch()
        if batch_id is None:
            return False
        handed = self.handed[batch_id]
        some = self.chance.sample(handed.task_ids, min(len(handed.task_ids), self.chance.randint(1, 5)))
        handed.cancelled.update(some)
        self._execute("cancel", task_ids=some)
        return True

    def _stop(self) -> bool:
        batch_id, force = self._a_batch(), self.chance.random() < 0.3
        if batch_id is None:
            return False
        seq = self._order(batch_id, lambda queue: queue.stop(batch_id, force))
        self.handed[batch_id].note_halt(seq, True)
        return True

    def _start(self) -> bool:
        batch_id = self._a_batch((BatchState.STOPPING, BatchState.STOPPED))
        if batch_id is None:
            return False
        seq = self._order(batch_id, lambda queue: queue.start(batch_id))
        self.handed[batch_id].note_halt(seq, False)
        return True

    def _change_limit(self) -> bool:
        batch_id = self._a_batch()
        return batch_id is not None and self._limit(batch_id, self.chance.choice((1, 2, 5, 10, 20, FREELY)))

    def _limit(self, batch_id: str, limit: int) -> bool:
        seq = self._order(batch_id, lambda queue: queue.limit(batch_id, limit))
        self.handed[batch_id].note_limit(seq, limit)
        return True

    def _repeat(self) -> bool:
        if not self.handed:
            return False
        batch_id = self.chance.choice(list(self.handed))
        again = self._execute("add_batch", **self.handed[batch_id].call)["batch_id"]
        if again != batch_id:
            self.mistakes.append((2, f"the call with the key of batch {batch_id} made batch {again}"))
        return True

    def _call_wrongly(self) -> None:
        name = f"refused {len(self.refused) + 1}"
        self.refused.append(name)
        tasks = [{"function": "chaos_nap"}, {"function": "chaos_nap", "params": {"seconds": "long"}}]
        try:
            self._execute("add_batch", tasks=tasks, name=name, start=True)
        except BadRequest:
            return
        self.mistakes.append((10, f"the wrong call {name!r} was accepted"))

    # --- what strangers do ---

    def _double_tickets(self) -> bool:
        live = BatchTask.objects.filter(status__in=(TaskStatus.QUEUED, TaskStatus.RUNNING)).order_by("number")
        rows = self._insist(lambda: list(live.values_list("task_id", "attempt", "batch_id")[:40]))
        names = [
            name_of(Ticket(hex_of(task_id), attempt + ahead, hex_of(batch_id)))
            for task_id, attempt, batch_id in rows
            for ahead in (0, 1, 1, 2)
        ]
        self.chance.shuffle(names)
        return self._push(names)

    def _false_tickets(self) -> bool:
        names = [f"{self.chance.getrandbits(128):032x}-1-{self.chance.getrandbits(128):032x}" for _ in range(50)]
        return self._push([*names, "", "\xff", "x" * 10_000, "0" * 32 + "-1-" + "z" * 32])

    def _push(self, names: list[str]) -> bool:
        if not names:
            return False
        for priority in self.chance.sample([*Priority], 2):
            redis_client().rpush(queue_key(priority), *names)
            self.done["false and doubled tickets, one by one"] += len(names)
        return True

    def _flush(self) -> None:
        redis_client().flushall()

    def _hold_lock(self) -> bool:
        if is_postgresql():
            return False  # there a lock holds up nobody but those who want the same rows
        with transaction.atomic():  # of SQLite the one right to write
            time.sleep(self.chance.uniform(0.2, 1.0))
        return True
