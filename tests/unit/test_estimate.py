"""How far a batch is, and when it will be done."""

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
def test_progress_counts_everything_that_is_over(counters, percent):
    assert estimate.progress_percentage(_stats(**counters)) == percent


def test_the_average_is_of_tasks_that_ran_to_their_end():
    assert estimate.average_task_time(_stats()) == 0
    assert estimate.average_task_time(_stats(completed=3, failed=1, cancelled=9, total_execution_time=8.0)) == 2


def test_throughput_is_counted_from_the_start_to_the_end():
    assert estimate.throughput(_stats(completed=9), START) == 0
    stats = _stats(completed=15, failed=5, start_time=START)
    assert estimate.throughput(stats, START) == 0
    assert estimate.throughput(stats, START + timedelta(seconds=10)) == 2
    stats.end_time = START + timedelta(seconds=4)
    assert estimate.throughput(stats, START + timedelta(days=1)) == 5


def test_time_left_follows_the_slots_in_use():
    stats = _stats(queued=18, running=4, completed=2, total_execution_time=6.0)
    assert _left(stats) == 15  # 3 s each, half of the running ones are over, four at once
    assert _left(_stats(queued=20, completed=1, total_execution_time=3.0), slots=10) == 6  # nothing runs yet


def test_more_slots_than_tasks_do_not_make_it_faster():
    assert _left(_stats(queued=2, completed=1, total_execution_time=3.0), slots=100) == 3


def test_for_tiny_tasks_the_measured_rate_counts():
    stats = _stats(queued=500, completed=1000, total_execution_time=1.0, start_time=START)
    assert _left(stats, seconds=10) == 5


def test_nothing_is_foretold_of_last_tasks_that_take_longer_than_the_others():
    stats = _stats(running=1, completed=2, total_execution_time=8.0, changed_at=START + timedelta(seconds=7))
    assert _left(stats, seconds=10) == 2
    assert _left(stats, seconds=12) is None
    assert _left(_stats(queued=4, completed=2, total_execution_time=8.0, changed_at=START), slots=1, seconds=12) == 16


@pytest.mark.parametrize("state", ["open", "stopping", "stopped"])
def test_nothing_is_foretold_of_a_batch_that_does_not_run(state):
    assert _left(_stats(queued=5, completed=5, total_execution_time=5.0), state) is None


def test_nothing_is_foretold_before_the_first_task_ended():
    assert _left(_stats(queued=5, running=5)) is None
    assert _left(_stats(queued=5, cancelled=5)) is None
    assert _left(_stats()) is None


def test_a_finished_batch_has_nothing_left():
    assert _left(_stats(completed=5, total_execution_time=5.0), "finished") == 0
