"""The rule when a worker may treat silent workers as dead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from executor.db.clock import Clock
from executor.worker.silence import SilenceJudge

LIMIT = 20.0  # seconds


class FakeClock(Clock):
    """Both clocks stand still until the test moves them, in seconds."""

    def __init__(self) -> None:
        self.seconds = self.database_step = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def database_now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds + self.database_step)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def beat_until(judge: SilenceJudge, clock: FakeClock, end: float, interval: float = 5.0) -> None:
    """Send heartbeats at this interval up to a time."""
    while clock.seconds + interval <= end:
        clock.seconds += interval
        judge.beaten()


def test_regular_heartbeats_allow_to_judge(clock: FakeClock) -> None:
    judge = SilenceJudge(clock, LIMIT)
    assert judge.may_judge()
    beat_until(judge, clock, 100.0)
    assert judge.may_judge()


def test_grace_period_after_the_start_excuses_others(clock: FakeClock) -> None:
    judge = SilenceJudge(clock, LIMIT, grace=6.0)
    clock.seconds = 5.9
    assert not judge.may_judge()
    clock.seconds = 6.0
    assert judge.may_judge()


def test_pause_of_half_the_limit_is_no_excuse(clock: FakeClock) -> None:
    judge = SilenceJudge(clock, LIMIT)
    judge.beaten()
    clock.seconds = LIMIT / 2
    assert judge.may_judge()


def test_longer_pause_excuses_others_for_the_limit(clock: FakeClock) -> None:
    judge = SilenceJudge(clock, LIMIT)
    judge.beaten()
    clock.seconds = 11.0
    judge.beaten()
    beat_until(judge, clock, 30.0, interval=1.0)
    assert not judge.may_judge()
    beat_until(judge, clock, 31.0, interval=1.0)
    assert judge.may_judge()


def test_pause_before_the_first_heartbeat_excuses_others(clock: FakeClock) -> None:
    judge = SilenceJudge(clock, LIMIT)
    clock.seconds = 60.0
    judge.beaten()
    assert not judge.may_judge()
    beat_until(judge, clock, 80.0, interval=1.0)
    assert judge.may_judge()


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_step_of_the_database_clock_excuses_others(clock: FakeClock, step: float) -> None:
    judge = SilenceJudge(clock, LIMIT)
    judge.beaten()
    clock.database_step = step
    assert not judge.may_judge()
    judge.beaten()
    beat_until(judge, clock, 15.0)
    assert not judge.may_judge()
    beat_until(judge, clock, 20.0)
    assert judge.may_judge()


def test_repeated_pauses_do_not_excuse_others_for_ever(clock: FakeClock) -> None:
    judge = SilenceJudge(clock, LIMIT)
    judged = []
    for _ in range(5):
        clock.seconds += 11.0  # a pause longer than half the limit in every period
        judge.beaten()
        beat_until(judge, clock, clock.seconds + 14.0, interval=1.0)
        judged.append(judge.may_judge())
    assert any(judged)
