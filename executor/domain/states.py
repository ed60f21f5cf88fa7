"""The statuses of a task, the states of a batch, and the moves between them. Pure: no database, no clock.

    add ──► QUEUED ◄───────────── fail with retries left · release · rescue · retry
              │ claim                        ▲
              ▼                              │
           RUNNING ──────────────────────────┘
              │
              ├─ complete ──► COMPLETED
              ├─ fail, no retry left ──► FAILED ──► retry
              └─ cancel ──► CANCELLED ──► retry

A queued task may carry `dispatched_at` (its ticket is issued) or `run_after` (it waits for its start or retry time);
neither is a separate status.

A new status is a member of `TaskStatus`, its row in `STATUS_SPECS`, its moves in `MOVES`, and a counter column of
`BatchStats` of the same name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import models


class Priority(models.IntegerChoices):
    """The priority of a task. Higher ones are first within their batch, and their tickets first among all batches."""

    LOW = 1, "low"
    MEDIUM = 2, "medium"
    HIGH = 3, "high"
    CRITICAL = 4, "critical"

    @property
    def queued_counter(self) -> str:
        """The column of `BatchStats` that counts the queued tasks of this priority."""
        return f"queued_{self.label}"


PRIORITIES = tuple(sorted(Priority, reverse=True))  # highest first: the order of dispatch, of RQ's queues, of lists


class TaskStatus(models.TextChoices):
    """The five statuses of a task. Each is also the name of its counter in `BatchStats`."""

    QUEUED = "queued", "queued"  # waits: for a slot, for its time, or for its batch to be started
    RUNNING = "running", "running"  # one worker has claimed it
    COMPLETED = "completed", "completed"  # its result is stored
    FAILED = "failed", "failed"  # no retry is left
    CANCELLED = "cancelled", "cancelled"  # requested by a person or an agent


@dataclass(frozen=True, slots=True)
class StatusSpec:
    """The properties of a status that the rest of the product reads."""

    letter: str  # in frames
    is_final: bool
    tone: str  # its colour on the command line, in the admin and on the page: the name of a CSS variable
    in_bar: bool = True  # a segment of the progress bar; queued tasks are the bar's background


# In the order of every list and counter.
STATUS_SPECS: dict[TaskStatus, StatusSpec] = {
    TaskStatus.QUEUED: StatusSpec("q", is_final=False, tone="queued", in_bar=False),
    TaskStatus.RUNNING: StatusSpec("r", is_final=False, tone="running"),
    TaskStatus.COMPLETED: StatusSpec("c", is_final=True, tone="completed"),
    TaskStatus.FAILED: StatusSpec("f", is_final=True, tone="failed"),
    TaskStatus.CANCELLED: StatusSpec("x", is_final=True, tone="cancelled"),
}

FINAL = tuple(status for status, spec in STATUS_SPECS.items() if spec.is_final)
LETTER: dict[str, str] = {status.value: spec.letter for status, spec in STATUS_SPECS.items()}
STATUS_OF_LETTER = {spec.letter: status for status, spec in STATUS_SPECS.items()}
CLEARED = "-"  # the letter of a deleted task


@dataclass(frozen=True, slots=True)
class Move:
    """A verb of the queue: the statuses that it accepts, and the statuses that it may lead to."""

    sources: tuple[TaskStatus, ...]
    targets: tuple[TaskStatus, ...]


# The guards of the queue's statements are made from this table (executor/queue/statements.py).
MOVES: dict[str, Move] = {
    "claim": Move((TaskStatus.QUEUED,), (TaskStatus.RUNNING,)),
    "complete": Move((TaskStatus.RUNNING,), (TaskStatus.COMPLETED,)),
    "fail": Move((TaskStatus.RUNNING,), (TaskStatus.QUEUED, TaskStatus.FAILED)),
    "release": Move((TaskStatus.RUNNING,), (TaskStatus.QUEUED,)),
    "rescue": Move((TaskStatus.RUNNING,), (TaskStatus.QUEUED, TaskStatus.FAILED)),
    "cancel": Move((TaskStatus.QUEUED, TaskStatus.RUNNING), (TaskStatus.CANCELLED,)),
    "retry": Move((TaskStatus.FAILED, TaskStatus.CANCELLED), (TaskStatus.QUEUED,)),
}


class BatchState(models.TextChoices):
    """The states of a batch. OPEN was never started; FINISHED has only final tasks, and adding one opens it again."""

    OPEN = "open", "open"
    RUNNING = "running", "running"
    STOPPING = "stopping", "stopping"  # no further task starts, running tasks run to their end
    STOPPED = "stopped", "stopped"
    FINISHED = "finished", "finished"


def settled_state(state: str, counts: Mapping[str, int]) -> str:
    """Return the state of a batch after a commit, from the number of its tasks in each status.

    A stopping batch stops with its last running task, any batch is finished when all of its tasks are final, and a
    finished batch that has work again is open.
    """
    is_unfinished = any(counts[status] for status in TaskStatus if status not in FINAL)
    if not is_unfinished and any(counts[status] for status in FINAL):
        return BatchState.FINISHED
    if state == BatchState.STOPPING and not counts[TaskStatus.RUNNING]:
        return BatchState.STOPPED
    if state == BatchState.FINISHED and is_unfinished:
        return BatchState.OPEN
    return state
