"""What passes between the queue and those who use it. Ids are 32 hex digits; params and results are JSON text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .new_task import NewTask
from .states import Priority


class Ticket(NamedTuple):
    """The right to start one attempt: "attempt 2 of task X may run now". Ids are 32 hex digits."""

    task_id: str
    attempt: int
    batch_id: str
    priority: int = Priority.MEDIUM


class Look(NamedTuple):
    """The wish to see whether a batch has slots that nobody has taken."""

    batch_id: str


class Waiting(NamedTuple):
    """A queued task that may go next."""

    task_id: str
    attempt: int
    priority: int
    number: int


@dataclass(slots=True)
class Claimed:
    """A task that a worker has claimed: what it needs to run the attempt."""

    task_id: str
    batch_id: str
    number: int
    attempt: int
    priority: int
    function: str
    params: str  # JSON text
    timeout: float | None
    retry_count: int
    max_retries: int
    name: str
    custom_id: str | None
    owner: str


@dataclass(slots=True)
class Progress:
    """How far a running attempt says that it is: [done, total, text]."""

    task_id: str
    batch_id: str
    attempt: int
    value: list


@dataclass(slots=True)
class Outcome:
    """How an attempt ended. `status` is completed, failed, or cancelled; released says that it is not charged."""

    task_id: str
    batch_id: str
    attempt: int
    status: str
    execution_time: float = 0.0
    result: str | None = None  # JSON text
    error: str = ""
    error_kind: str = ""
    traceback: str = ""
    output: Any = None
    retryable: bool = True
    retry_after: float | None = None
    released: bool = False


__all__ = ["Claimed", "Look", "NewTask", "Outcome", "Progress", "Ticket", "Waiting"]
