"""Outcomes of attempts that do not complete."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from executor.domain.messages import Cancelled, Claim, Completed, Failed, Lost, Outcome, Released
from executor.domain.states import TaskStatus
from executor.queue.endings import CANCELLED_RUNNING, Ending, ending_of
from executor.queue.statements import HeldRow
from executor.queue.transaction import InvariantBroken

CLAIM = Claim(UUID(int=1), UUID(int=2), 1)


def held(**fields: Any) -> HeldRow:
    defaults = {
        "task_id": CLAIM.task_id,
        "number": 1,
        "attempt": 1,
        "priority": 2,
        "started_at": None,
        "retry_count": 0,
        "max_retries": 1,
        "retry_delay": 0.0,
        "cancel_requested": False,
    }
    return HeldRow(**{**defaults, **fields})


def failed(**fields: Any) -> Failed:
    return Failed(CLAIM, 2.0, **{"error": "it broke", "error_kind": "ValueError", **fields})


def ending(row: HeldRow, outcome: Outcome) -> Ending:
    found = ending_of(row, outcome)
    assert found is not None
    return found


def test_completion_without_cancel_request_has_no_ending() -> None:
    assert ending_of(held(), Completed(CLAIM, 1.0, "{}")) is None


def test_failure_with_retries_left_is_queued_and_charged() -> None:
    found = ending(held(), failed())
    assert (found.verb, found.status, found.retry_count) == ("fail", TaskStatus.QUEUED, 1)
    assert (found.recorded_as, found.error, found.error_kind) == ("failed", "it broke", "ValueError")
    assert (found.retry_in, found.execution_time, found.is_final) == (0.0, None, False)


def test_failure_without_retries_left_is_final() -> None:
    found = ending(held(retry_count=1), failed())
    assert (found.status, found.retry_count, found.execution_time) == (TaskStatus.FAILED, 1, 2.0)
    assert found.is_final and found.retry_in is None


def test_failure_that_is_not_retryable_is_final() -> None:
    found = ending(held(max_retries=5), failed(retryable=False))
    assert (found.status, found.retry_count) == (TaskStatus.FAILED, 0)


def test_retry_after_of_the_error_sets_the_pause() -> None:
    assert ending(held(), failed(retry_after=40.0)).retry_in == 40.0


def test_lost_attempt_is_charged_as_worker_lost() -> None:
    lost = Lost(CLAIM, "no heartbeat")
    found = ending(held(), lost)
    assert (found.verb, found.status, found.retry_count) == ("rescue", TaskStatus.QUEUED, 1)
    assert (found.recorded_as, found.error_kind) == ("failed", "worker_lost")
    assert ending(held(max_retries=0), lost).status == TaskStatus.FAILED


def test_released_attempt_is_not_charged() -> None:
    found = ending(held(max_retries=0), Released(CLAIM, retry_after=3.0))
    assert (found.verb, found.status, found.retry_count) == ("release", TaskStatus.QUEUED, 0)
    assert (found.recorded_as, found.retry_in) == ("released", 3.0)


def test_cancelled_attempt_is_final_and_not_charged() -> None:
    found = ending(held(), Cancelled(CLAIM, 1.0, "stopped"))
    assert (found.verb, found.status, found.retry_count) == ("cancel", TaskStatus.CANCELLED, 0)
    assert (found.error, found.error_kind, found.is_final) == ("stopped", "cancelled", True)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Completed(CLAIM, 1.0, "{}"), CANCELLED_RUNNING),
        (failed(), "it broke"),
        (Released(CLAIM), CANCELLED_RUNNING),
        (Lost(CLAIM, "no heartbeat"), "no heartbeat"),
    ],
    ids=["completed", "failed", "released", "lost"],
)
def test_cancel_request_wins_over_every_outcome(outcome: Outcome, error: str) -> None:
    found = ending(held(cancel_requested=True), outcome)
    assert (found.verb, found.status, found.error) == ("cancel", TaskStatus.CANCELLED, error)


def test_status_outside_the_table_of_moves_is_rejected() -> None:
    with pytest.raises(InvariantBroken):
        Ending("release", TaskStatus.COMPLETED, 0, "released", "", "")
