"""The auditor finds every planted fault and names the broken invariant."""

import orjson
import pytest
from django.db import connection
from django.utils import timezone

from executor.models import BatchFrame, BatchStats, BatchTask, TaskAttempt
from executor.queue.dispatch import open_batches
from executor.testbed.auditor import INVARIANTS, Orders, audit
from tests.factories import FakeWorker, cancel, make_batch, running_batch, task_in


@pytest.fixture(autouse=True)
def _balanced(db):
    """Disable the audit after each test: these tests plant faults."""


def broken(batch, orders=None) -> set[int]:
    return {number for number, _ in audit(batch.pk, orders).breaches}


@pytest.fixture
def batch():
    """Two tasks ran: one failed once and then completed, one was completed at once."""
    batch, _ = running_batch(3, 2, max_concurrent=2)
    worker = FakeWorker()
    first, second = worker.claim(batch)
    worker.fail(first)
    worker.complete(second)
    worker.complete(*worker.claim(batch))
    assert not broken(batch)
    return batch


def change(batch, seq: int, **changes) -> None:
    BatchFrame.objects.filter(batch=batch, seq=seq).update(**changes)


def changes_of(batch) -> list[list]:
    return [orjson.loads(frame.changes) for frame in BatchFrame.objects.filter(batch=batch).order_by("seq")]


@pytest.mark.parametrize("name", ["total_tasks", "queued", "running", "completed", "failed", "cancelled", "queued_low"])
def test_wrong_counter_is_found(batch, name):
    BatchStats.objects.filter(pk=batch.pk).update(**{name: 1})
    assert 5 in broken(batch)


def test_row_changed_outside_the_queue_is_found(batch):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE executor_batchtask SET attempt = attempt + 1 WHERE number = 1")
    assert {2, 6} <= broken(batch)


def test_missing_task_is_found(batch):
    gone = BatchTask.objects.filter(batch=batch, number=2)
    TaskAttempt.objects.filter(task__in=gone).delete()
    gone.delete()
    assert {5, 6} <= broken(batch)


def test_missing_frame_is_found(batch):
    BatchFrame.objects.filter(batch=batch, seq=3).delete()
    assert 6 in broken(batch)


def test_wrong_execution_time_is_found(batch):
    BatchStats.objects.filter(pk=batch.pk).update(total_execution_time=7.0)
    assert 5 in broken(batch)


def test_wrong_counts_in_the_last_frame_are_found(batch):
    counts = {"queued": 0, "running": 0, "completed": 1, "failed": 1, "cancelled": 0}
    change(batch, len(changes_of(batch)), counts=orjson.dumps(counts).decode())
    assert broken(batch) == {6}


@pytest.mark.parametrize(("letter", "attempt"), [("c", 1), ("f", 1), ("r", 2), ("x", 1)])
def test_illegal_step_in_the_frames_is_found(batch, letter, attempt):
    """Each replaces the first claim of task 1."""
    frames = changes_of(batch)
    seq = next(seq for seq, changes in enumerate(frames, 1) if any(one[:2] == [1, "r"] for one in changes))
    changed = [[1, letter, attempt, *one[3:]] if one[:2] == [1, "r"] else one for one in frames[seq - 1]]
    change(batch, seq, changes=orjson.dumps(changed).decode())
    assert 2 in broken(batch)


def test_second_outcome_of_an_attempt_is_found(batch):
    frames = changes_of(batch)
    frames[-1].append([2, "c", 1, None, None, 1.0, None, None])
    change(batch, len(frames), changes=orjson.dumps(frames[-1]).decode())
    assert 2 in broken(batch)


def test_missing_and_surplus_attempt_records_are_found(batch):
    record = TaskAttempt.objects.get(task__batch=batch)
    TaskAttempt.objects.create(task=record.task, number=7, outcome="failed", ended_at=timezone.now())
    assert broken(batch) == {2}
    TaskAttempt.objects.all().delete()
    assert broken(batch) == {2}


def test_completed_task_with_a_cancel_request_is_found(batch):
    BatchTask.objects.filter(batch=batch, number=1).update(cancel_requested_at=timezone.now())
    assert broken(batch) == {1}


def test_too_many_retries_are_found(batch):
    BatchTask.objects.filter(batch=batch, number=1).update(retry_count=4)
    assert broken(batch) == {7}


def test_too_many_running_tasks_are_found(batch):
    assert not broken(batch, Orders(limits=[(0, 2)]))
    assert broken(batch, Orders(limits=[(0, 2), (2, 1)])) == {3}


def test_claim_in_a_stopped_batch_is_found(batch):
    assert broken(batch, Orders(halts=[(1, True)])) == {8}
    assert not broken(batch, Orders(halts=[(0, True), (1, False)]))


def test_claim_out_of_priority_order_is_found(batch):
    low, high = task_in("queued", batch, priority=1), task_in("queued", batch, priority=4)
    with open_batches([batch.pk]) as queue:
        queue.start(batch.pk)
        book = queue.batch(batch.pk)
        waiting = [task for task in queue.select_candidates(book, 2) if task.task_id == low.pk]
        queue.claim(book, waiting, "worker")
    assert waiting and high.attempt == 0
    assert broken(batch, Orders()) == {4}


def test_final_task_with_a_ticket_is_found():
    batch = make_batch()
    cancel(task_in("queued", batch))
    assert not broken(batch)
    BatchTask.objects.filter(batch=batch).update(dispatched_at=timezone.now())
    assert broken(batch) == {1}


def test_every_invariant_has_a_description():
    assert list(INVARIANTS) == list(range(1, 11))
