"""The states of a task and of a batch, and the moves between them. Pure: no database, no clock.

    add ──► QUEUED ◄───────────── fail with retries left · release · rescue · retry
              │ claim                        ▲
              ▼                              │
           RUNNING ──────────────────────────┘
              │
              ├─ complete ──► COMPLETED
              ├─ fail, no retry left ──► FAILED ──► retry
              └─ cancel ──► CANCELLED ──► retry

A queued task may carry `dispatched_at` (its ticket is out) or `run_after` (it waits for its time); neither is a
status of its own.
"""

from django.db import models


class Priority(models.IntegerChoices):
    """How urgent a task is. A higher one goes first within its batch, and its ticket first among all batches."""

    LOW = 1, "low"
    MEDIUM = 2, "medium"
    HIGH = 3, "high"
    CRITICAL = 4, "critical"


class TaskStatus(models.TextChoices):
    """The five statuses of a task."""

    QUEUED = "queued", "queued"  # waits: for a slot, for its time, or for its batch to be started
    RUNNING = "running", "running"  # one worker has claimed it
    COMPLETED = "completed", "completed"  # its result is kept
    FAILED = "failed", "failed"  # no retry is left
    CANCELLED = "cancelled", "cancelled"  # somebody asked for it


class BatchState(models.TextChoices):
    """What a batch is doing. OPEN was never started; FINISHED has only final tasks; adding opens it again."""

    OPEN = "open", "open"
    RUNNING = "running", "running"
    STOPPING = "stopping", "stopping"  # nothing new starts, running tasks go on to their end
    STOPPED = "stopped", "stopped"
    FINISHED = "finished", "finished"


FINAL = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)

# What each verb of the queue does to a task: the statuses it takes, the statuses it may leave.
MOVES: dict[str, tuple[tuple[TaskStatus, ...], tuple[TaskStatus, ...]]] = {
    "claim": ((TaskStatus.QUEUED,), (TaskStatus.RUNNING,)),
    "complete": ((TaskStatus.RUNNING,), (TaskStatus.COMPLETED,)),
    "fail": ((TaskStatus.RUNNING,), (TaskStatus.QUEUED, TaskStatus.FAILED)),
    "release": ((TaskStatus.RUNNING,), (TaskStatus.QUEUED,)),
    "rescue": ((TaskStatus.RUNNING,), (TaskStatus.QUEUED, TaskStatus.FAILED)),
    "cancel": ((TaskStatus.QUEUED, TaskStatus.RUNNING), (TaskStatus.CANCELLED,)),
    "retry": ((TaskStatus.FAILED, TaskStatus.CANCELLED), (TaskStatus.QUEUED,)),
}

# The letter of each status in a frame; "-" stands for a task that was cleared.
LETTER = {
    TaskStatus.QUEUED: "q",
    TaskStatus.RUNNING: "r",
    TaskStatus.COMPLETED: "c",
    TaskStatus.FAILED: "f",
    TaskStatus.CANCELLED: "x",
}
STATUS_OF_LETTER = {letter: status for status, letter in LETTER.items()}
CLEARED = "-"


def settled_state(state: str, *, queued: int, running: int, total: int) -> str:
    """The state a batch takes by itself after a commit: stopping ends with its last running task, any batch is
    finished when all of its tasks are final, and a finished batch that has work again is open."""
    if total and not queued and not running:
        return BatchState.FINISHED
    if state == BatchState.STOPPING and not running:
        return BatchState.STOPPED
    if state == BatchState.FINISHED and (queued or running):
        return BatchState.OPEN
    return state
