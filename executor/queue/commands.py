"""The commands of people and agents: start, stop, cancel, retry, priority, limit, clear."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Count, QuerySet, Sum

from executor.db.dialect import in_clause
from executor.db.statements import execute
from executor.domain.errors import Conflict
from executor.domain.messages import CANCELLED_QUEUED, Ticket
from executor.domain.states import FINAL, MOVES, BatchState, Priority, TaskStatus
from executor.models import BatchTask

from . import statements
from .locked_batch import LockedBatch
from .statements import target
from .transaction import QueueTransaction, chunks

_FINAL = ", ".join(f"'{status.value}'" for status in FINAL)


class _Brief(NamedTuple):
    """The fields of a task that are needed to count its move; named as in the model."""

    task_id: UUID
    number: int
    priority: int
    attempt: int
    execution_time: float | None
    dispatched_at: Any


class Commands(QueueTransaction):
    """The verbs of people and agents."""

    # --- the batch -------------------------------------------------------------------------------

    def start(self, batch_id: UUID, max_concurrent: int | None = None) -> LockedBatch:
        """Run the batch's tasks. A batch with only final tasks stays finished.

        Raises Conflict when it has no tasks.
        """
        batch = self.batch(batch_id)
        if not batch.counters["total_tasks"]:
            raise Conflict("The batch has no tasks yet.", fix="Add tasks first.")
        if max_concurrent is not None:
            batch.max_concurrent = max_concurrent
        if batch.counters["queued"] or batch.counters["running"]:
            batch.stop_forced = False
            self._run(batch)
        return batch

    def stop(self, batch_id: UUID, force: bool = False) -> LockedBatch:
        """Start no further tasks of this batch; with `force`, kill and release the running ones.

        Tickets that are out are withdrawn, so that a later start issues new ones.
        """
        batch = self.batch(batch_id)
        if batch.state in (BatchState.RUNNING, BatchState.STOPPING):
            batch.state = BatchState.STOPPING
            batch.stop_forced = batch.stop_forced or force
        self._withdraw_tickets(batch, BatchTask.objects.filter(batch_id=batch_id))
        return batch

    def set_max_concurrent(self, batch_id: UUID, max_concurrent: int) -> LockedBatch:
        """Change how many of the batch's tasks may run at once. A lower limit binds from the next claim on."""
        batch = self.batch(batch_id)
        batch.max_concurrent = max_concurrent
        return batch

    # --- its tasks -------------------------------------------------------------------------------

    def cancel(self, batch_id: UUID, tasks: QuerySet[BatchTask]) -> tuple[int, int]:
        """Cancel the queued ones among these tasks, and request it of the running ones; return how many of each."""
        batch = self.batch(batch_id)
        queued = _briefs(tasks.filter(status=TaskStatus.QUEUED))
        self._move(
            batch,
            "cancel",
            queued,
            TaskStatus.QUEUED,
            completed_at=batch.now,
            run_after=None,
            dispatched_at=None,
            error=CANCELLED_QUEUED,
            error_kind="cancelled",
        )
        self.withdrawn += [_next_ticket(batch, task) for task in queued if task.dispatched_at]
        running = tasks.filter(status=TaskStatus.RUNNING, cancel_requested_at=None)
        return len(queued), running.update(cancel_requested_at=batch.now)

    def retry(self, batch_id: UUID, tasks: QuerySet[BatchTask]) -> int:
        """Queue failed and cancelled tasks again with all their retries; return how many.

        A finished batch runs again; a stopped or open one stays as it is until it is started.
        """
        batch = self.batch(batch_id)
        count = 0
        for source in MOVES["retry"].sources:
            briefs = _briefs(tasks.filter(status=source))
            self._move(
                batch,
                "retry",
                briefs,
                source,
                retry_count=0,
                run_after=None,
                completed_at=None,
                started_at=None,
                execution_time=None,
                result=None,
                error="",
                error_kind="",
                worker="",
                cancel_requested_at=None,
            )
            count += len(briefs)
        if count and batch.state == BatchState.FINISHED:
            self._run(batch)
        return count

    def set_priority(self, batch_id: UUID, tasks: QuerySet[BatchTask], priority: int) -> int:
        """Set the priority of queued tasks; return how many. New tickets are issued on its queue."""
        batch = self.batch(batch_id)
        tasks = tasks.filter(status=TaskStatus.QUEUED).exclude(priority=priority)
        self._withdraw_tickets(batch, tasks)
        counts = dict(tasks.order_by().values_list("priority").annotate(count=Count("pk")))
        for old, count in counts.items():
            batch.counters[Priority(old).queued_counter] -= count
            batch.counters[Priority(priority).queued_counter] += count
        tasks.update(priority=priority)
        batch.is_touched = batch.is_touched or bool(counts)
        return sum(counts.values())

    def clear(self, batch_id: UUID, tasks: QuerySet[BatchTask]) -> int:
        """Delete the final ones among these tasks; return how many."""
        batch = self.batch(batch_id)
        rows = list(tasks.filter(status__in=FINAL).values_list(*_Brief._fields, "status"))
        for chunk in chunks([row[0] for row in rows]):
            condition, ids = in_clause(chunk)
            execute(statements.DELETE_ATTEMPTS.format(ids=condition), ids)
            execute(statements.DELETE_TASKS.format(ids=condition, final=_FINAL), ids)
        for *fields, status in rows:
            task = _Brief(*fields)
            batch.count_out(status, task.priority, task.execution_time)
            batch.record_change(task.number, None, task.attempt)
        if rows:
            # Sums of floats drift when parts are subtracted; here the remaining rows are cheap to sum.
            left = BatchTask.objects.filter(batch_id=batch_id, status__in=FINAL)
            batch.counters["total_execution_time"] = left.aggregate(sum=Sum("execution_time"))["sum"] or 0.0
        return len(rows)

    # --- shared ----------------------------------------------------------------------------------

    def _run(self, batch: LockedBatch) -> None:
        batch.state = BatchState.RUNNING
        batch.start_time = batch.start_time or batch.now

    def _withdraw_tickets(self, batch: LockedBatch, tasks: QuerySet[BatchTask]) -> None:
        """Withdraw the tickets of the queued ones among these tasks."""
        out = tasks.filter(status=TaskStatus.QUEUED, dispatched_at__isnull=False)
        briefs = _briefs(out)
        self.withdrawn += [_next_ticket(batch, task) for task in briefs]
        if briefs:
            out.update(dispatched_at=None)

    def _move(self, batch: LockedBatch, verb: str, tasks: list[_Brief], source: TaskStatus, **changes: Any) -> None:
        """Move tasks, as they were read under the lock, from one status to the verb's target."""
        status = target(verb)
        for chunk in chunks([task.task_id for task in tasks]):
            BatchTask.objects.filter(task_id__in=chunk, status=source).update(status=status, **changes)
        for task in tasks:
            batch.count_out(source, task.priority, task.execution_time)
            batch.count_in(status, task.priority)
            batch.record_change(task.number, status, task.attempt, error=changes.get("error"))


def _briefs(tasks: QuerySet[BatchTask]) -> list[_Brief]:
    return [_Brief(*row) for row in tasks.values_list(*_Brief._fields)]


def _next_ticket(batch: LockedBatch, task: _Brief) -> Ticket:
    return Ticket(task.task_id, task.attempt + 1, batch.batch_id, task.priority)
