"""The examiner of the books finds what is wrong: each fault is planted, and named by the promise that it breaks."""

import orjson
import pytest
from django.db import connection
from django.utils import timezone

from executor.db.dialect import hex_of
from executor.models import BatchFrame, BatchStats, BatchTask, TaskAttempt
from executor.queue.dispatch import open_batches
from executor.testbed.invariants import PROMISES, Orders, examine
from tests.factories import FakeWorker, cancel, make_batch, running_batch, task_in


@pytest.fixture(autouse=True)
def _balanced(db):
    """Here the books are out of balance on purpose."""


def seen(batch, orders=None) -> set[int]:
    return {promise for promise, _ in examine(batch.pk, orders).breaches}


@pytest.fixture
def batch():
    """Two tasks ran: one failed once and then completed, one was completed at once."""
    batch, _ = running_batch(3, 2, max_concurrent=2)
    worker = FakeWorker()
    first, second = worker.take(batch)
    worker.fail(first)
    worker.complete(second)
    worker.complete(*worker.take(batch))
    assert not seen(batch)
    return batch


def change(batch, seq: int, **changes) -> None:
    BatchFrame.objects.filter(batch=batch, seq=seq).update(**changes)


def told(batch) -> list[list]:
    return [orjson.loads(frame.changes) for frame in BatchFrame.objects.filter(batch=batch).order_by("seq")]


@pytest.mark.parametrize("name", ["total_tasks", "queued", "running", "completed", "failed", "cancelled", "queued_low"])
def test_a_counter_that_is_off(batch, name):
    BatchStats.objects.filter(pk=batch.pk).update(**{name: 1})
    assert 5 in seen(batch)


def test_a_row_that_was_changed_behind_the_queue(batch):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE executor_batchtask SET attempt = attempt + 1 WHERE number = 1")
    assert {2, 6} <= seen(batch)


def test_a_task_that_is_gone(batch):
    gone = BatchTask.objects.filter(batch=batch, number=2)
    TaskAttempt.objects.filter(task__in=gone).delete()
    gone.delete()
    assert {5, 6} <= seen(batch)


def test_a_hole_in_the_log(batch):
    BatchFrame.objects.filter(batch=batch, seq=3).delete()
    assert 6 in seen(batch)


def test_a_second_outcome_of_an_attempt(batch):
    frames = told(batch)
    frames[-1].append([2, "c", 1, None, None, 1.0, None, None])
    change(batch, len(frames), changes=orjson.dumps(frames[-1]).decode())
    assert 2 in seen(batch)


def test_a_record_of_an_attempt_that_is_missing_or_too_many(batch):
    record = TaskAttempt.objects.get(task__batch=batch)
    TaskAttempt.objects.create(task=record.task, number=7, outcome="failed", ended_at=timezone.now())
    assert seen(batch) == {2}
    TaskAttempt.objects.all().delete()
    assert seen(batch) == {2}


def test_a_completed_task_that_somebody_had_cancelled(batch):
    BatchTask.objects.filter(batch=batch, number=1).update(cancel_requested_at=timezone.now())
    assert seen(batch) == {1}


def test_more_retries_than_allowed(batch):
    BatchTask.objects.filter(batch=batch, number=1).update(retry_count=4)
    assert seen(batch) == {7}


def test_more_that_run_than_may(batch):
    assert not seen(batch, Orders(limits=[(0, 2)]))
    assert seen(batch, Orders(limits=[(0, 2), (2, 1)])) == {3}


def test_a_start_in_a_stopped_batch(batch):
    assert seen(batch, Orders(halts=[(1, True)])) == {8}
    assert not seen(batch, Orders(halts=[(0, True), (1, False)]))


def test_a_claim_past_a_better_one(batch):
    low, high = task_in("queued", batch, priority=1), task_in("queued", batch, priority=4)
    with open_batches([batch.pk]) as queue:
        queue.start(batch.pk)
        book = queue.book(batch.pk)
        waiting = [task for task in queue.next(book, 2) if task.task_id == hex_of(low.pk)]
        queue.claim(book, waiting, "somebody")
    assert waiting and high.attempt == 0
    assert seen(batch, Orders()) == {4}


def test_a_task_that_is_final_and_out_with_a_ticket():
    batch = make_batch()
    cancel(task_in("queued", batch))
    assert not seen(batch)
    BatchTask.objects.filter(batch=batch).update(dispatched_at=timezone.now())
    assert seen(batch) == {1}


def test_every_promise_has_its_words():
    assert list(PROMISES) == list(range(1, 11))
