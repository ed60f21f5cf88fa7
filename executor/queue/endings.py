"""Endings of attempts that do not complete: a function per verb of the table of moves. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from executor.domain.errors import WorkerLost
from executor.domain.messages import CANCELLED_RUNNING, Cancelled, Completed, Failed, Lost, Outcome, Released
from executor.domain.states import MOVES, STATUS_SPECS, TaskStatus

from .backoff import retry_pause
from .statements import HeldRow, target
from .transaction import InvariantBroken


@dataclass(frozen=True, slots=True)
class Ending:
    """The record of an attempt that did not complete."""

    verb: str
    status: TaskStatus
    retry_count: int
    recorded_as: str  # `TaskAttempt.outcome`
    error: str
    error_kind: str
    retry_in: float | None = None  # seconds; None: at once, or never
    execution_time: float | None = None  # seconds, of final failures

    def __post_init__(self) -> None:
        if self.status not in MOVES[self.verb].targets:
            raise InvariantBroken(f"{self.verb} does not lead to {self.status}")

    @property
    def is_final(self) -> bool:
        return STATUS_SPECS[self.status].is_final


def ending_of(held: HeldRow, outcome: Outcome) -> Ending | None:
    """Return how a running attempt ends; None for a completion that must wait for `complete`.

    A cancel request wins over every outcome, also over a completion that came after it.
    """
    if held.cancel_requested:
        return cancel(held, "" if isinstance(outcome, Completed) else outcome.error)
    match outcome:
        case Cancelled():
            return cancel(held, outcome.error)
        case Released():
            return release(held, outcome)
        case Failed():
            return fail(held, outcome)
        case Lost():
            return rescue(held, outcome)
        case Completed():
            return None


def cancel(held: HeldRow, error: str) -> Ending:
    """Return the ending of a cancelled attempt: running → cancelled."""
    return Ending("cancel", target("cancel"), held.retry_count, "cancelled", error or CANCELLED_RUNNING, "cancelled")


def release(held: HeldRow, outcome: Released) -> Ending:
    """Return the ending of a released attempt: running → queued, not charged."""
    return Ending(
        "release",
        target("release"),
        held.retry_count,
        "released",
        outcome.error,
        outcome.error_kind,
        retry_in=outcome.retry_after,
    )


def fail(held: HeldRow, outcome: Failed) -> Ending:
    """Return the ending of a failed attempt: running → queued while retries are left, else → failed."""
    if not outcome.retryable:
        return _failed("fail", held, outcome.error, outcome.error_kind, outcome.execution_time)
    return _charge("fail", held, outcome.error, outcome.error_kind, outcome.execution_time, outcome.retry_after)


def rescue(held: HeldRow, outcome: Lost) -> Ending:
    """Return the ending of a lost worker's attempt, which is charged as a failure."""
    return _charge("rescue", held, outcome.error, WorkerLost.kind, outcome.execution_time, None)


def _charge(
    verb: str, held: HeldRow, error: str, error_kind: str, execution_time: float, retry_after: float | None
) -> Ending:
    if held.retry_count >= held.max_retries:
        return _failed(verb, held, error, error_kind, execution_time)
    retry_count = held.retry_count + 1
    pause = retry_pause(retry_after, held.retry_delay, retry_count)
    return Ending(verb, TaskStatus.QUEUED, retry_count, "failed", error, error_kind, retry_in=pause)


def _failed(verb: str, held: HeldRow, error: str, error_kind: str, execution_time: float) -> Ending:
    return Ending(verb, TaskStatus.FAILED, held.retry_count, "failed", error, error_kind, execution_time=execution_time)
