"""The pause before a retry."""

from __future__ import annotations

import random

import pytest

from executor.queue.backoff import BACKOFF_CAP, MAX_RETRY_AFTER, retry_pause


@pytest.mark.parametrize("retry", [1, 2, 5, 10_000])
def test_backoff_is_uniform_up_to_a_bound_that_doubles(retry: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = []
    monkeypatch.setattr(random, "uniform", lambda low, high: bounds.append((low, high)) or high)
    pause = retry_pause(None, 2.0, retry)
    assert bounds == [(0.0, pause)]
    assert pause == min(BACKOFF_CAP, 2.0 * 2 ** min(retry - 1, 20))


def test_backoff_has_jitter() -> None:
    pauses = {retry_pause(None, 60.0, 1) for _ in range(20)}
    assert len(pauses) > 1 and all(0 <= pause <= 60 for pause in pauses)


@pytest.mark.parametrize("delay", [0.0, -1.0])
def test_no_delay_means_no_pause(delay: float) -> None:
    assert retry_pause(None, delay, 5) == 0.0


@pytest.mark.parametrize(
    ("requested", "pause"), [(0.0, 0.0), (40.0, 40.0), (-5.0, 0.0), (float("inf"), MAX_RETRY_AFTER)]
)
def test_requested_pause_replaces_the_backoff_within_bounds(requested: float, pause: float) -> None:
    assert retry_pause(requested, 60.0, 1) == pause


def test_requested_pause_that_is_not_a_number_is_ignored() -> None:
    assert retry_pause(float("nan"), 0.0, 1) == 0.0
