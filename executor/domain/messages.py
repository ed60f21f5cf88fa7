"""The messages between queue, broker and workers. Params and results are JSON text.

A task has one shape on each side of a door: `NewTask` (new_task.py) on its way in, `Candidate` while it waits to be
claimed, `ClaimedTask` in the hands of a worker, and one of the outcomes on its way back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from .states import Priority


class Ticket(NamedTuple):
    """The right to start one attempt: "attempt 2 of task X may run now"."""

    task_id: UUID
    attempt: int
    batch_id: UUID
    priority: int = Priority.MEDIUM


class Candidate(NamedTuple):
    """A queued task that may be claimed next."""

    task_id: UUID
    attempt: int  # claims so far
    priority: int
    number: int

    @property
    def rank(self) -> tuple[int, int]:
        """The sort key of dispatch: highest priority first, then oldest."""
        return -self.priority, self.number


class Claim(NamedTuple):
    """The identity of one attempt. With the worker's name it fences every write about that attempt."""

    task_id: UUID
    batch_id: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A task that a worker has claimed: everything that its attempt needs."""

    claim: Claim
    number: int
    priority: int
    function: str
    params: str  # JSON text
    timeout: float | None  # seconds
    retry_count: int
    max_retries: int
    name: str
    custom_id: str | None
    owner: str

    @property
    def task_id(self) -> UUID:
        return self.claim.task_id

    @property
    def batch_id(self) -> UUID:
        return self.claim.batch_id

    @property
    def attempt(self) -> int:
        return self.claim.attempt


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress report of a running attempt: [done, total, text]."""

    claim: Claim
    value: list[Any]


# The error texts of cancelled tasks.
CANCELLED_QUEUED = "Cancelled before it started."
CANCELLED_RUNNING = "Cancelled while it ran."

# --- outcomes: how an attempt can end ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Completed:
    """The function returned; `result` is JSON text."""

    claim: Claim
    execution_time: float  # seconds
    result: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised, timed out, or could not be called. Charged as a failure."""

    claim: Claim
    execution_time: float  # seconds
    error: str
    error_kind: str
    traceback: str = ""
    output: Any = None
    retryable: bool = True
    retry_after: float | None = None  # seconds requested by the error; None: backoff


@dataclass(frozen=True, slots=True)
class Released:
    """The attempt goes back to the queue and is not charged."""

    claim: Claim
    execution_time: float = 0.0  # seconds
    error: str = ""
    error_kind: str = ""
    retry_after: float | None = None  # seconds


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The attempt was ended by a cancel request."""

    claim: Claim
    execution_time: float  # seconds
    error: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker is dead or silent. Charged as a failure of kind `worker_lost`."""

    claim: Claim
    error: str
    execution_time: float = 0.0  # unknown


Outcome = Completed | Failed | Released | Cancelled | Lost
