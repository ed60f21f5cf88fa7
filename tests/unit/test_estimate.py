"""Progress of a batch, and the estimate of its remaining time."""

from datetime import UTC, datetime, timedelta

import pytest

from executor.models import BatchStats
from executor.reads import estimate

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def _stats(**counters) -> BatchStats:
    names = ("queued", "running", "completed", "failed", "cancelled")
    return BatchStats(total_tasks=sum(counters.get(name, 0) for name in names), **counters)


def _left(stats, state="running", slots=5, seconds=10):
    return estimate.estimated_time_remaining(stats, state, slots, START + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("counters", "percent"),
    [
        ({}, 0),
        ({"queued": 4}, 0),
        ({"queued": 2, "completed": 1, "cancelled": 1}, 50),
        ({"completed": 1, "failed": 1, "running": 1}, 66.67),
        ({"failed": 3}, 100),
    ],
)
def test_progress_counts_all_finished_tasks(counters, percent):
    assert estimate.progress_percentage(_stats(**counters)) == percent


def test_average_excludes_cancelled_tasks():
    assert estimate.average_task_time(_stats()) == 0
    assert estimate.average_task_time(_stats(completed=3, failed=1, cancelled=9, total_execution_time=8.0)) == 2


def test_throughput_is_measured_from_start_to_end():
    assert estimate.throughput(_stats(completed=9), START) == 0
    stats = _stats(completed=15, failed=5, start_time=START)
    assert estimate.throughput(stats, START) == 0
    assert estimate.throughput(stats, START + timedelta(seconds=10)) == 2
    stats.end_time = START + timedelta(seconds=4)
    assert estimate.throughput(stats, START + timedelta(days=1)) == 5


def test_remaining_time_depends_on_the_slots_in_use():
    stats = _stats(queued=18, running=4, completed=2, total_execution_time=6.0)
    assert _left(stats) == 15  # 3 s each, running tasks count as half done, four slots
    assert _left(_stats(queued=20, completed=1, total_execution_time=3.0), slots=10) == 6  # nothing runs yet


def test_remaining_time_does_not_count_idle_slots():
    assert _left(_stats(queued=2, completed=1, total_execution_time=3.0), slots=100) == 3


def test_remaining_time_of_short_tasks_uses_the_measured_rate():
    stats = _stats(queued=500, completed=1000, total_execution_time=1.0, start_time=START)
    assert _left(stats, seconds=10) == 5


def test_no_estimate_for_last_tasks_that_exceed_the_average():
    stats = _stats(running=1, completed=2, total_execution_time=8.0, changed_at=START + timedelta(seconds=7))
    assert _left(stats, seconds=10) == 2
    assert _left(stats, seconds=12) is None
    assert _left(_stats(queued=4, completed=2, total_execution_time=8.0, changed_at=START), slots=1, seconds=12) == 16


@pytest.mark.parametrize("state", ["open", "stopping", "stopped"])
def test_no_estimate_for_a_batch_that_is_not_running(state):
    assert _left(_stats(queued=5, completed=5, total_execution_time=5.0), state) is None


def test_no_estimate_before_the_first_task_ends():
    assert _left(_stats(queued=5, running=5)) is None
    assert _left(_stats(queued=5, cancelled=5)) is None
    assert _left(_stats()) is None


def test_finished_batch_has_no_remaining_time():
    assert _left(_stats(completed=5, total_execution_time=5.0), "finished") == 0
