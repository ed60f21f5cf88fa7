"""Adding tasks to a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from executor.db.dialect import insert_rows, to_db_id, to_db_time
from executor.db.failpoints import failpoint
from executor.domain.new_task import NEW_TASK_COLUMNS, NewTask
from executor.domain.states import TaskStatus

from . import statements
from .transaction import QueueTransaction

# The values that every new task begins with.
_INITIAL = {
    "status": TaskStatus.QUEUED.value,
    "retry_count": 0,
    "attempt": 0,
    "worker": "",
    "error": "",
    "error_kind": "",
}
_COLUMNS = (*NEW_TASK_COLUMNS, "batch_id", "number", "created_at", *_INITIAL)


class Adding(QueueTransaction):
    """The verb `add`."""

    def add(self, batch_id: UUID, tasks: Sequence[NewTask]) -> list[int]:
        """Store new tasks at the end of the batch, all of them or none, and return their numbers in order."""
        batch = self.batch(batch_id)
        first = batch.counters["last_number"] + 1
        db_batch_id, rest = to_db_id(batch_id), (to_db_time(batch.now), *_INITIAL.values())
        # The id is a new task's first value, its only time the last one.
        rows = (
            (to_db_id(task.task_id), *task[1:-1], to_db_time(task.run_after), db_batch_id, number, *rest)
            for number, task in enumerate(tasks, first)
        )
        insert_rows(statements.TASK, _COLUMNS, rows)
        failpoint("add-uncommitted")
        for priority, count in Counter(task.priority for task in tasks).items():
            batch.count_in(TaskStatus.QUEUED, priority, count=count)
        for number in range(first, first + len(tasks)):
            batch.record_change(number, TaskStatus.QUEUED, 0)
        batch.counters["last_number"] += len(tasks)
        self.added += len(tasks)
        return list(range(first, first + len(tasks)))
