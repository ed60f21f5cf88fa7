"""Random operations in a random order: the batches stay consistent, and every task reaches a final status.

A failure names its seed; `pytest "…::test_random_operations_keep_batches_consistent[SEED]"` does the same steps again.
"""

from __future__ import annotations

import random

import pytest

from executor.db.dialect import database_now
from executor.domain.errors import Conflict
from executor.domain.states import FINAL, Priority, TaskStatus
from executor.models import Batch, BatchTask, TaskAttempt, WorkerNode
from executor.queue import repair
from executor.queue.dispatch import open_batches
from tests.factories import (
    FakeWorker,
    add_tasks,
    cancelled,
    completed,
    failed,
    make_batch,
    released,
    start,
    stop,
    ticket_for,
    tickets_out,
)
from tests.support.batches import assert_consistent

STEPS = 150


class Anything:
    """Two batches, some workers, and everything that can happen to them."""

    def __init__(self, seed: int):
        self.chance = random.Random(seed)
        self.batches = [make_batch(max_concurrent=3), make_batch(max_concurrent=5)]
        self.workers: dict[str, tuple[FakeWorker, list]] = {}
        self.ghosts: list[tuple[FakeWorker, list]] = []  # they lost their tasks and do not know it
        self.limit = {batch.pk: batch.max_concurrent for batch in self.batches}
        self.finals: dict = {}  # task → (attempt, status): what came to its end stays so
        self.renewed: set = set()  # but for these, which somebody retried or cleared
        for batch in self.batches:
            add_tasks(batch, 4)
        for _ in range(3):
            self.worker_comes()

    # --- what may happen ---

    def worker_comes(self):
        if len(self.workers) < 4:
            worker = FakeWorker()
            self.workers[worker.name] = (worker, [])

    def tasks_come(self):
        add_tasks(
            self.a_batch(),
            self.chance.randint(1, 4),
            priority=self.chance.choice([*Priority]),
            max_retries=self.chance.choice([0, 1, 3]),
            retry_delay=self.chance.choice([0.0, 0.0, 500.0]),
        )

    def claim(self):
        worker, held = self.a_worker()
        tickets = tickets_out(*self.batches)
        tickets = self.chance.sample(tickets, min(len(tickets), self.chance.randint(1, 6)))
        rows = [task for batch in self.batches for task in batch.tasks.order_by("number")]
        # Tickets that come twice, too late, or were never issued.
        stray = [ticket_for(task) for task in self.chance.sample(rows, min(len(rows), 2))]
        stray += [ticket._replace(attempt=ticket.attempt - 1) for ticket in stray]
        tickets += self.chance.choice([[], tickets, stray])
        if tickets:
            held += worker.claim_tickets(*tickets)

    def record(self):
        worker, held = self.a_worker()
        part = [held.pop(self.chance.randrange(len(held))) for _ in range(min(len(held), self.chance.randint(1, 4)))]
        if part:
            assert worker.record(*map(self.an_outcome, part)) == len(part), "a live claim was refused"

    def crash(self):
        if len(self.workers) > 1:
            worker, held = self.a_worker()
            del self.workers[worker.name]
            worker.fall_silent()
            self.ghosts.append((worker, held))

    def ghost_speaks(self):
        """Record outcomes by a worker that was declared dead, as after a long pause."""
        dead = [(worker, held) for worker, held in self.ghosts if worker.node.state == WorkerNode.State.DEAD]
        for worker, held in dead:
            before = self.everything()
            if held:
                assert worker.record(*map(self.an_outcome, held)) == 0
            assert self.everything() == before
            self.ghosts.remove((worker, held))

    def repair(self):
        # Those that did not crash are heard of, however slow this machine is.
        WorkerNode.objects.filter(name__in=self.workers).update(heartbeat_at=database_now())
        repair.rescue_lost_workers()
        repair.release_due_tasks()

    def time_passes(self):
        for task in BatchTask.objects.filter(run_after__isnull=False):
            BatchTask.objects.filter(pk=task.pk).update(run_after=task.created_at)
        repair.release_due_tasks()

    def tickets_are_lost(self):
        for batch in self.batches:
            with open_batches([batch.pk]) as queue:
                queue.clear_tickets([ticket.task_id for ticket in tickets_out(batch)])

    def start(self):
        batch, limit = self.a_batch(), self.chance.choice([None, 1, 3, 6])
        try:
            start(batch, limit)
        except Conflict:
            return
        self.limit[batch.pk] = max(limit or 0, self.limit[batch.pk])

    def stop(self):
        stop(self.a_batch(), force=self.chance.random() < 0.3)

    def change_limit(self):
        batch, limit = self.a_batch(), self.chance.randint(1, 6)
        with open_batches([batch.pk]) as queue:
            queue.set_max_concurrent(batch.pk, limit)
        self.limit[batch.pk] = max(limit, self.limit[batch.pk])

    def cancel(self):
        self.on_some("cancel")

    def retry(self):
        self.on_some("retry", renews=True)

    def clear(self):
        self.on_some("clear", renews=True)

    def set_priority(self):
        self.on_some("set_priority", self.chance.choice([*Priority]))

    # --- how ---

    def on_some(self, verb: str, *arguments, renews: bool = False):
        batch = self.a_batch()
        ids = list(batch.tasks.order_by("number").values_list("pk", flat=True))
        some = self.chance.sample(ids, min(len(ids), self.chance.randint(1, 3)))
        if renews:
            self.renewed.update(some)
        with open_batches([batch.pk]) as queue:
            getattr(queue, verb)(batch.pk, BatchTask.objects.filter(pk__in=some), *arguments)

    def a_batch(self) -> Batch:
        return self.chance.choice(self.batches)

    def a_worker(self) -> tuple[FakeWorker, list]:
        return self.workers[self.chance.choice(list(self.workers))]

    def an_outcome(self, task):
        how = self.chance.choices([completed, failed, released, cancelled], [6, 4, 2, 0.3])[0]
        if how is completed:
            return completed(task, execution_time=self.chance.random())
        return failed(task, retryable=self.chance.random() < 0.8) if how is failed else how(task)

    @staticmethod
    def everything():
        return list(BatchTask.objects.order_by("pk").values()), list(Batch.objects.order_by("pk").values("stats__seq"))

    # --- what must be true after every step ---

    def check(self):
        for batch in self.batches:
            assert_consistent(batch.pk)
            running = batch.tasks.filter(status=TaskStatus.RUNNING).count()
            assert running <= self.limit[batch.pk], "more run than ever was allowed since the last calm"
            self.limit[batch.pk] = max(running, Batch.objects.get(pk=batch.pk).max_concurrent)
        now = {
            pk: (attempt, status) for pk, attempt, status in BatchTask.objects.values_list("pk", "attempt", "status")
        }
        for pk, was in self.finals.items():
            assert now.get(pk) == was or pk in self.renewed, f"{was} became {now.get(pk)}"
        self.finals = {pk: is_ for pk, is_ in now.items() if is_[1] in FINAL}
        self.renewed.clear()

    def drain(self):
        """Nobody disturbs any more: everything comes to its end."""
        for _ in range(400):
            self.worker_comes()
            for batch in self.batches:
                if batch.tasks.filter(status__in=["queued", "running"]).exists():
                    start(batch)
            self.time_passes()
            self.repair()
            self.ghost_speaks()
            for worker, held in self.workers.values():
                held += worker.claim_tickets(*tickets) if (tickets := tickets_out(*self.batches)) else []
                worker.complete(*held) if held else None
                held.clear()
            self.check()
            if not BatchTask.objects.exclude(status__in=FINAL).exists():
                return
        raise AssertionError("it does not come to an end")


EVENTS = {
    "claim": 10, "settle": 8, "tasks_come": 3, "start": 2, "stop": 1, "cancel": 1, "retry": 1.5, "clear": 0.7,
    "crash": 0.7, "worker_comes": 1, "repair": 1.5, "ghost_speaks": 1, "time_passes": 1, "tickets_are_lost": 0.5,
    "change_limit": 0.7, "set_priority": 0.7,
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_random_operations_keep_batches_consistent(seed):
    world = Anything(seed)
    for event in world.chance.choices(list(EVENTS), list(EVENTS.values()), k=STEPS):
        getattr(world, event)()
        world.check()
    world.drain()
    # It proves something only if much has happened.
    assert BatchTask.objects.filter(attempt__gt=1).exists()
    assert TaskAttempt.objects.filter(outcome="failed").exists()
    assert sum(Batch.objects.values_list("stats__seq", flat=True)) > STEPS / 4
