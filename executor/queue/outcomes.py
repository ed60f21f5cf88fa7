"""Recording of the ends of attempts.

An outcome whose attempt or worker is not the claim's any more is stale: it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from executor.db.dialect import from_db_id, from_db_time, in_clause, to_db_id, to_db_time, values_clause
from executor.db.statements import execute, query
from executor.domain.messages import Completed, Failed, Outcome, Progress
from executor.domain.states import TaskStatus
from executor.models import BatchTask, TaskAttempt

from . import statements
from .endings import Ending, ending_of
from .locked_batch import LockedBatch
from .statements import CompletedRow, EndRow, HeldRow, target
from .transaction import QueueTransaction, by_claimed_batch, chunks

T = TypeVar("T", bound=Outcome)


def index_by_claim(outcomes: Sequence[T]) -> dict[tuple[UUID, int], T]:
    """Map (task, attempt) to the outcome. A row matches only the outcome of its current attempt."""
    return {(outcome.claim.task_id, outcome.claim.attempt): outcome for outcome in outcomes}


class Outcomes(QueueTransaction):
    """The verbs `complete`, `fail`, `release`, `rescue`, and `cancel` of running tasks."""

    def record_outcomes(self, outcomes: Sequence[Outcome], worker: str) -> int:
        """Record how attempts of this worker ended; return how many were accepted."""
        accepted = 0
        for batch_id, group in by_claimed_batch(outcomes).items():
            batch = self.batches.get(batch_id)
            if batch is None:
                continue
            completed = self._complete(batch, [each for each in group if isinstance(each, Completed)], worker)
            # A rejected completion may have a cancel request: then the attempt ends as cancelled.
            others = [outcome for outcome in group if outcome.claim.task_id not in completed]
            accepted += len(completed) + self._end(batch, others, worker)
        return accepted

    def record_progress(self, reports: Sequence[Progress], worker: str) -> None:
        """Keep the latest progress report of each running attempt of this worker."""
        for batch_id, group in by_claimed_batch(reports).items():
            batch = self.batches.get(batch_id)
            if batch is None:
                continue
            latest = {report.claim: report.value for report in group}
            for claim, value in latest.items():
                running = BatchTask.objects.filter(
                    task_id=claim.task_id, attempt=claim.attempt, worker=worker, status=TaskStatus.RUNNING
                )
                if running.update(progress=value):
                    number, started_at = running.values_list("number", "started_at").get()
                    batch.record_change(number, TaskStatus.RUNNING, claim.attempt, worker, started_at, progress=value)

    def _complete(self, batch: LockedBatch, outcomes: Sequence[Completed], worker: str) -> set[UUID]:
        """Complete running tasks; return those that were accepted."""
        if not outcomes:
            return set()
        by_claim = index_by_claim(outcomes)
        rows = [
            (to_db_id(task_id), attempt, outcome.result, outcome.execution_time)
            for (task_id, attempt), outcome in by_claim.items()
        ]
        clause, values = values_clause(rows, statements.COMPLETE_TYPES)
        statement = statements.COMPLETE.format(rows=clause)
        accepted = set()
        for row in query(statement, [*values, to_db_time(batch.now), worker]):
            done = CompletedRow(*row)
            outcome = by_claim[from_db_id(done.task_id), done.attempt]
            accepted.add(outcome.claim.task_id)
            batch.count_out(TaskStatus.RUNNING, done.priority)
            batch.count_in(target("complete"), done.priority, outcome.execution_time)
            started_at = from_db_time(done.started_at)
            batch.record_change(
                done.number, target("complete"), done.attempt, worker, started_at, outcome.execution_time
            )
        return accepted

    def _end(self, batch: LockedBatch, outcomes: Sequence[Outcome], worker: str) -> int:
        """End attempts that did not complete; return how many were accepted."""
        if not outcomes:
            return 0
        by_claim = index_by_claim(outcomes)
        condition, ids = in_clause(sorted({task_id for task_id, _ in by_claim}))
        rows, attempts = [], []
        for row in query(statements.HELD.format(ids=condition), [*ids, worker]):
            held = HeldRow(*row)
            outcome = by_claim.get((from_db_id(held.task_id), held.attempt))
            ending = None if outcome is None else ending_of(held, outcome)
            if outcome is None or ending is None:
                continue
            rows.append(self._count_end(batch, held, outcome, ending, worker))
            attempts.append(_attempt(batch, held, outcome, ending, worker))
        for chunk in chunks(rows):
            clause, values = values_clause(chunk, statements.END_TYPES)
            execute(statements.END.format(rows=clause), [*values, worker])
        if attempts:
            TaskAttempt.objects.bulk_create(attempts, ignore_conflicts=True)
        return len(rows)

    def _count_end(self, batch: LockedBatch, held: HeldRow, outcome: Outcome, ending: Ending, worker: str) -> EndRow:
        """Count one ending and record it in the frame; return the values for the task's row."""
        if ending.retry_count > held.retry_count:
            batch.counters["retries"] += 1
        batch.count_out(TaskStatus.RUNNING, held.priority)
        batch.count_in(ending.status, held.priority, ending.execution_time)
        started_at = from_db_time(held.started_at)
        batch.record_change(
            held.number,
            ending.status,
            held.attempt,
            worker,
            started_at,
            outcome.execution_time,
            ending.retry_in,
            ending.error,
        )
        run_after = batch.now + timedelta(seconds=ending.retry_in) if ending.retry_in else None
        return EndRow(
            task_id=to_db_id(outcome.claim.task_id),
            attempt=held.attempt,
            status=ending.status.value,
            worker=worker if ending.is_final else "",
            retry_count=ending.retry_count,
            run_after=to_db_time(run_after),
            error=ending.error,
            error_kind=ending.error_kind,
            execution_time=ending.execution_time,
            completed_at=to_db_time(batch.now) if ending.is_final else None,
        )


def _attempt(batch: LockedBatch, held: HeldRow, outcome: Outcome, ending: Ending, worker: str) -> TaskAttempt:
    failure = outcome if isinstance(outcome, Failed) else None
    return TaskAttempt(
        task_id=outcome.claim.task_id,
        number=held.attempt,
        outcome=ending.recorded_as,
        error_kind=ending.error_kind,
        error=ending.error,
        traceback=failure.traceback if failure else "",
        output=failure.output if failure else None,
        worker=worker,
        started_at=from_db_time(held.started_at),
        ended_at=batch.now,
    )
