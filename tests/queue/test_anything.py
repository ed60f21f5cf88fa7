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


class RandomOperations:
    """Two batches, some workers, and the operations on them."""

    def __init__(self, seed: int):
        self.chance = random.Random(seed)
        self.batches = [make_batch(max_concurrent=3), make_batch(max_concurrent=5)]
        self.workers: dict[str, tuple[FakeWorker, list]] = {}
        self.dead: list[tuple[FakeWorker, list]] = []  # declared dead or soon to be, with the tasks that they held
        self.limit = {batch.pk: batch.max_concurrent for batch in self.batches}
        self.finals: dict = {}  # task → (attempt, status): final tasks stay as they are
        self.renewed: set = set()  # except these, which were retried or cleared
        for batch in self.batches:
            add_tasks(batch, 4)
        for _ in range(3):
            self.add_worker()

    # --- operations ---

    def add_worker(self):
        if len(self.workers) < 4:
            worker = FakeWorker()
            self.workers[worker.name] = (worker, [])

    def add_some_tasks(self):
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
        # Duplicate, stale and forged tickets.
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
            self.dead.append((worker, held))

    def record_from_dead_workers(self):
        """Record outcomes by a worker that was declared dead, as after a long pause."""
        declared = [(worker, held) for worker, held in self.dead if worker.node.state == WorkerNode.State.DEAD]
        for worker, held in declared:
            before = self.everything()
            if held:
                assert worker.record(*map(self.an_outcome, held)) == 0
            assert self.everything() == before
            self.dead.remove((worker, held))

    def repair(self):
        # The others have fresh heartbeats, however slow this machine is.
        WorkerNode.objects.filter(name__in=self.workers).update(heartbeat_at=database_now())
        repair.rescue_lost_workers()
        repair.wake_due_tasks()

    def make_tasks_due(self):
        for task in BatchTask.objects.filter(run_after__isnull=False):
            BatchTask.objects.filter(pk=task.pk).update(run_after=task.created_at)
        repair.wake_due_tasks()

    def lose_tickets(self):
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

    # --- choices ---

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

    # --- invariants ---

    def check(self):
        for batch in self.batches:
            assert_consistent(batch.pk)
            running = batch.tasks.filter(status=TaskStatus.RUNNING).count()
            assert running <= self.limit[batch.pk], "more tasks run than the limit ever allowed"
            self.limit[batch.pk] = max(running, Batch.objects.get(pk=batch.pk).max_concurrent)
        now = {
            pk: (attempt, status) for pk, attempt, status in BatchTask.objects.values_list("pk", "attempt", "status")
        }
        for pk, was in self.finals.items():
            assert now.get(pk) == was or pk in self.renewed, f"{was} became {now.get(pk)}"
        self.finals = {pk: is_ for pk, is_ in now.items() if is_[1] in FINAL}
        self.renewed.clear()

    def drain(self):
        """Complete all tasks without further disturbance."""
        for _ in range(400):
            self.add_worker()
            for batch in self.batches:
                if batch.tasks.filter(status__in=["queued", "running"]).exists():
                    start(batch)
            self.make_tasks_due()
            self.repair()
            self.record_from_dead_workers()
            for worker, held in self.workers.values():
                held += worker.claim_tickets(*tickets) if (tickets := tickets_out(*self.batches)) else []
                worker.complete(*held) if held else None
                held.clear()
            self.check()
            if not BatchTask.objects.exclude(status__in=FINAL).exists():
                return
        raise AssertionError("some tasks are never final")


OPERATIONS = {  # with their weights
    "claim": 10,
    "record": 8,
    "add_some_tasks": 3,
    "start": 2,
    "stop": 1,
    "cancel": 1,
    "retry": 1.5,
    "clear": 0.7,
    "crash": 0.7,
    "add_worker": 1,
    "repair": 1.5,
    "record_from_dead_workers": 1,
    "make_tasks_due": 1,
    "lose_tickets": 0.5,
    "change_limit": 0.7,
    "set_priority": 0.7,
}


@pytest.mark.parametrize("seed", range(3))
def test_random_operations_keep_batches_consistent(seed):
    run = RandomOperations(seed)
    for event in run.chance.choices(list(OPERATIONS), list(OPERATIONS.values()), k=STEPS):
        getattr(run, event)()
        run.check()
    run.drain()
    # A run proves something only if much has happened.
    assert BatchTask.objects.filter(attempt__gt=1).exists()
    assert TaskAttempt.objects.filter(outcome="failed").exists()
    assert sum(Batch.objects.values_list("stats__seq", flat=True)) > STEPS / 4
