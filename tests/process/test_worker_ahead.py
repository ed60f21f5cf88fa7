"""Prefetch: several short tasks per commit, and never more running tasks than slots."""

from pathlib import Path

import pytest

from executor.models import BatchFrame, TaskAttempt
from tests.support.batches import assert_consistent, item, marks, most_at_once, run, submit

SLOTS = 5


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """In this module the database is not emptied after each test: the worker needs its row."""


@pytest.fixture(scope="module", autouse=True)
def worker(start_worker):
    return start_worker(concurrency=SLOTS)


def test_one_commit_serves_more_short_tasks_than_slots(transactional_db):
    batch = submit(*[item("simulate", duration=0)] * 600, max_concurrent=500).wait()
    assert batch.counts()["completed"] == 600
    frames = BatchFrame.objects.filter(batch_id=batch.id).count()
    assert frames < 600 / SLOTS, "each commit served its slots and no more"
    assert_consistent(batch.id)


def test_long_tasks_after_short_ones_do_not_exceed_the_slots(transactional_db, mark):
    short, long = [item("simulate", duration=0)] * 200, [item("nap", seconds=0.4, mark=mark)] * 12
    batch = submit(*short, *long, *short, max_concurrent=500).wait()
    assert batch.counts()["completed"] == 412
    assert most_at_once(marks(Path(mark))) <= SLOTS
    assert_consistent(batch.id)


def test_tasks_prefetched_behind_long_ones_are_released_uncharged(transactional_db, mark):
    batch = submit(
        *[item("simulate", duration=0)] * 300, *[item("nap", seconds=0.6, mark=mark)] * 30, max_concurrent=500
    )
    batch.wait()
    tasks = batch.tasks()
    assert {task["status"] for task in tasks} == {"completed"} and not any(task["retry_count"] for task in tasks)
    outcomes = TaskAttempt.objects.filter(task__batch_id=batch.id).values_list("outcome", flat=True)
    assert set(outcomes) <= {"released"}  # none on a machine so slow that nothing is prefetched
    assert_consistent(batch.id)


def test_prefetched_task_can_be_cancelled(transactional_db, mark):
    batch = submit(
        *[item("simulate", duration=0)] * 300, *[item("nap", seconds=30, mark=mark)] * 30, max_concurrent=500
    )
    batch.wait_running(SLOTS)
    run("cancel", batch=batch.id)
    assert batch.wait().counts()["cancelled"] >= 30 - SLOTS
    assert_consistent(batch.id)
