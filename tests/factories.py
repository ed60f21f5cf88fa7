"""Batches and tasks in every status, made by the product's own verbs, and workers without processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import count

from executor.access import Caller, caller_of_shell
from executor.actions import Call
from executor.actions.add_batch import new_batch
from executor.db.clock import Clock
from executor.domain.messages import Cancelled, ClaimedTask, Completed, Failed, Outcome, Released, Ticket
from executor.domain.new_task import NewTask
from executor.domain.states import Priority, TaskStatus
from executor.domain.task_item import TaskItem
from executor.models import Batch, BatchTask, WorkerNode
from executor.models.fields import new_id
from executor.queue.dispatch import open_batches
from executor.worker.liveness import new_name, register

_serial = count(1)


# --- batches and tasks -------------------------------------------------------------------------------------


def make_batch(name: str = "", max_concurrent: int = 5, caller: Caller | None = None) -> Batch:
    """Return an open batch without tasks."""
    return new_batch(Call(caller or caller_of_shell()), name or f"batch {next(_serial)}", max_concurrent=max_concurrent)


def new_task(**fields) -> NewTask:
    """Return a task that is not stored yet. `params` is JSON text. Its retries have no delay unless the test sets one.

    The fields are not validated, so that a test can store what the actions refuse.
    """
    params = fields.pop("params", "{}")
    if "run_after" in fields:
        fields["run_at"] = fields.pop("run_after")
    item = TaskItem.model_construct(**{"function": "simulate", "retry_delay": 0.0, **fields})
    return NewTask.of(new_id(), item, params)


def add_tasks(batch: Batch, count: int = 1, **fields) -> list[BatchTask]:
    """Add queued tasks to the end of a batch and return them in order."""
    tasks = [new_task(**fields) for _ in range(count)]
    with open_batches([batch.pk]) as queue:
        numbers = queue.add(batch.pk, tasks)
    return list(BatchTask.objects.filter(batch=batch, number__in=numbers).order_by("number"))


def start(batch: Batch, max_concurrent: int | None = None) -> None:
    with open_batches([batch.pk]) as queue:
        queue.start(batch.pk, max_concurrent)


def stop(batch: Batch, force: bool = False) -> None:
    with open_batches([batch.pk]) as queue:
        queue.stop(batch.pk, force)


def running_batch(*priorities: int, max_concurrent: int = 5, **fields) -> tuple[Batch, list[BatchTask]]:
    """Return a started batch with one task of each of these priorities."""
    batch = make_batch(max_concurrent=max_concurrent)
    tasks = [add_tasks(batch, priority=priority, **fields)[0] for priority in priorities or (Priority.MEDIUM,)]
    start(batch)
    return batch, tasks


def task_in(status: str, batch: Batch | None = None, worker: FakeWorker | None = None, **fields) -> BatchTask:
    """Return a task in this status, brought there by the queue's own operations."""
    batch = batch or make_batch(max_concurrent=100)
    worker = worker or FakeWorker()
    [task] = add_tasks(batch, **{"max_retries": 0, **fields})
    if status == TaskStatus.CANCELLED:
        cancel(task)
    elif status != TaskStatus.QUEUED:
        start(batch)
        [claimed] = worker.claim_tickets(ticket_for(task))
        if status == TaskStatus.COMPLETED:
            worker.complete(claimed)
        elif status == TaskStatus.FAILED:
            worker.fail(claimed)
    task.refresh_from_db()
    assert task.status == status
    return task


def cancel(*tasks: BatchTask) -> tuple[int, int]:
    """Cancel tasks of one batch; return how many were cancelled and how many cancel requests were made."""
    with open_batches([tasks[0].batch_id]) as queue:
        return queue.cancel(tasks[0].batch_id, select_tasks(tasks))


def retry(*tasks: BatchTask) -> int:
    with open_batches([tasks[0].batch_id]) as queue:
        return queue.retry(tasks[0].batch_id, select_tasks(tasks))


def clear(*tasks: BatchTask) -> int:
    with open_batches([tasks[0].batch_id]) as queue:
        return queue.clear(tasks[0].batch_id, select_tasks(tasks))


def set_priority(priority: int, *tasks: BatchTask) -> int:
    with open_batches([tasks[0].batch_id]) as queue:
        return queue.set_priority(tasks[0].batch_id, select_tasks(tasks), priority)


def select_tasks(tasks: Iterable[BatchTask]):
    """Return the queryset of these tasks, as a selector gives it."""
    return BatchTask.objects.filter(pk__in=[task.pk for task in tasks])


def reload(task: BatchTask | ClaimedTask) -> BatchTask:
    """Return the task as it is in the database now."""
    return BatchTask.objects.get(pk=task.pk if isinstance(task, BatchTask) else task.task_id)


# --- tickets -------------------------------------------------------------------------------------------------


def ticket_for(task: BatchTask) -> Ticket:
    """Return the ticket for the next attempt of a task."""
    task = reload(task)
    return Ticket(task.pk, task.attempt + 1, task.batch_id, task.priority)


def tickets_out(*batches: Batch) -> list[Ticket]:
    """Return the outstanding tickets in the order in which workers take them."""
    out = BatchTask.objects.filter(batch__in=batches, status=TaskStatus.QUEUED, dispatched_at__isnull=False)
    return [ticket_for(task) for task in out.order_by("-priority", "dispatched_at", "number")]


# --- workers -------------------------------------------------------------------------------------------------


class FakeWorker:
    """A registered worker without a process: it claims and records on demand, and runs nothing."""

    def __init__(self, concurrency: int = 100):
        self.name, self.concurrency = new_name("fake"), concurrency
        register(self.name, concurrency)

    @property
    def node(self) -> WorkerNode:
        return WorkerNode.objects.get(name=self.name)

    def claim_tickets(self, *tickets: Ticket) -> list[ClaimedTask]:
        """Claim the tasks of these tickets."""
        with open_batches({ticket.batch_id for ticket in tickets}) as queue:
            return queue.claim_tickets(tickets, self.name)

    def claim(self, *batches: Batch, slots: int | None = None) -> list[ClaimedTask]:
        """Claim the tasks of outstanding tickets, then further queued tasks, for this many slots."""
        slots = self.concurrency if slots is None else slots
        if not (tickets := tickets_out(*batches)[:slots]):
            return []
        with open_batches({ticket.batch_id for ticket in tickets}) as queue:
            claimed = queue.claim_tickets(tickets, self.name)
            return claimed + queue.claim_more(slots - len(claimed), self.name)

    def record(self, *outcomes: Outcome) -> int:
        """Record outcomes; return how many were accepted."""
        with open_batches({outcome.claim.batch_id for outcome in outcomes}) as queue:
            return queue.record_outcomes(outcomes, self.name)

    def complete(self, *claimed: ClaimedTask, **how) -> int:
        return self.record(*(completed(task, **how) for task in claimed))

    def fail(self, *claimed: ClaimedTask, **how) -> int:
        return self.record(*(failed(task, **how) for task in claimed))

    def release(self, *claimed: ClaimedTask) -> int:
        return self.record(*(released(task) for task in claimed))

    def fall_silent(self, seconds: float = 3600) -> None:
        """Set the last heartbeat back by this time."""
        node = self.node
        WorkerNode.objects.filter(pk=node.pk).update(heartbeat_at=node.heartbeat_at - timedelta(seconds=seconds))


class IdleListener:
    """The HeartbeatListener of a worker that holds no task."""

    def held(self) -> dict:
        return {}

    def stop_attempt(self, task_id, attempt, why) -> None: ...

    def declared_dead(self) -> None: ...

    def overdue(self) -> float:
        return 0.0


class TravelClock(Clock):
    """A clock that the test advances: `passed` seconds on both clocks, `stepped` on the database's alone."""

    def __init__(self):
        self.passed = self.stepped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.passed

    def database_now(self) -> datetime:
        return super().database_now() + timedelta(seconds=self.passed + self.stepped)


def completed(task: ClaimedTask, **fields) -> Completed:
    return Completed(task.claim, **{"execution_time": 0.25, "result": f'"attempt {task.attempt}"', **fields})


def failed(task: ClaimedTask, **fields) -> Failed:
    return Failed(task.claim, **{"execution_time": 0.125, "error": "it broke", "error_kind": "ValueError", **fields})


def released(task: ClaimedTask) -> Released:
    return Released(task.claim)


def cancelled(task: ClaimedTask) -> Cancelled:
    return Cancelled(task.claim, 0.0, "Cancelled while it ran.")


def numbers(tasks: Sequence[BatchTask | ClaimedTask]) -> list[int]:
    return [task.number for task in tasks]
