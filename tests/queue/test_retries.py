"""Retries after failures, start times, and retries on request."""

from datetime import timedelta

import pytest

from executor.db.dialect import database_now
from executor.domain.states import TaskStatus
from executor.models import BatchTask, TaskAttempt
from executor.queue import dispatch, repair
from executor.queue.backoff import BACKOFF_CAP
from tests.factories import (
    FakeWorker,
    add_tasks,
    cancel,
    cancelled,
    clear,
    completed,
    failed,
    make_batch,
    reload,
    retry,
    running_batch,
    start,
    stop,
    task_in,
    ticket_for,
    tickets_out,
)
from tests.queue.history import status_history


def _fail_once(**fields):
    batch, [task] = running_batch(**fields)
    worker = FakeWorker()
    worker.fail(*worker.claim(batch))
    return batch, reload(task), worker


def _let_time_pass(task):
    BatchTask.objects.filter(pk=task.pk).update(run_after=database_now() - timedelta(seconds=1))


def test_failed_task_gets_no_ticket_before_its_backoff_is_over():
    before = database_now()
    batch, task, worker = _fail_once(retry_delay=60)
    assert (task.status, task.retry_count, task.error) == ("queued", 1, "it broke")
    assert before < task.run_after <= database_now() + timedelta(seconds=60)
    repair.wake_due_tasks()
    assert tickets_out(batch) == []
    assert worker.claim_tickets(ticket_for(task)) == []
    _let_time_pass(task)
    repair.wake_due_tasks()
    assert reload(task).run_after is None
    assert tickets_out(batch) == [ticket_for(task)]
    assert worker.complete(*worker.claim(batch)) == 1


def test_backoff_doubles_with_each_failure_up_to_its_cap():
    highest = []
    for retries in (1, 2, 5, 900):
        pauses = []
        for _ in range(20):
            batch, [task] = running_batch(retry_delay=2.0, max_retries=1000)
            BatchTask.objects.filter(pk=task.pk).update(retry_count=retries - 1)
            worker = FakeWorker()
            [claimed] = worker.claim(batch)
            worker.fail(claimed)
            failed = reload(task)
            [kept] = TaskAttempt.objects.filter(task=task)
            pauses.append((failed.run_after - kept.ended_at).total_seconds())
        longest = min(BACKOFF_CAP, 2.0 * 2 ** (retries - 1))
        assert min(pauses) >= 0 and max(pauses) <= longest
        assert max(pauses) > longest / 2, "all of twenty in the lower half: no full jitter"
        assert len(set(pauses)) > 10
        highest.append(max(pauses))
    assert highest[0] < 2.0 < highest[2]


def test_failed_task_without_delay_is_dispatched_at_once():
    batch, task, _ = _fail_once(retry_delay=0)
    assert task.run_after is None
    assert tickets_out(batch) == [ticket_for(task)]


def test_retry_after_of_an_error_sets_the_pause():
    batch, [task] = running_batch(retry_delay=0)
    worker = FakeWorker()
    worker.fail(*worker.claim(batch), retry_after=40)
    [kept] = TaskAttempt.objects.filter(task=task)
    assert reload(task).run_after == kept.ended_at + timedelta(seconds=40)
    assert tickets_out(batch) == []


def test_retry_after_zero_overrides_the_delay():
    batch, [task] = running_batch(retry_delay=60)
    worker = FakeWorker()
    worker.fail(*worker.claim(batch), retry_after=0)
    assert reload(task).run_after is None


@pytest.mark.parametrize("senseless", [float("inf"), float("nan"), 1e300, -5])
def test_invalid_retry_after_does_not_break_the_commit(senseless):
    """It comes from a task function; the commit also holds the outcomes of others."""
    batch, [task, other] = running_batch(2, 2)
    worker = FakeWorker()
    first, second = worker.claim(batch)
    with dispatch.open_batches([batch.pk]) as queue:
        assert queue.record_outcomes([failed(first, retry_after=senseless), completed(second)], worker.name) == 2
    assert reload(task).status == TaskStatus.QUEUED
    assert reload(other).status == TaskStatus.COMPLETED


def test_error_that_is_not_retryable_is_final():
    batch, [task] = running_batch(max_retries=5)
    worker = FakeWorker()
    worker.fail(*worker.claim(batch), retryable=False)
    task = reload(task)
    assert (task.status, task.retry_count, task.attempt) == ("failed", 0, 1)


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_failing_task_has_one_attempt_more_than_retries(allowed):
    batch, [task] = running_batch(max_retries=allowed)
    worker, attempts = FakeWorker(), 0
    while claimed := worker.claim(batch):
        worker.fail(*claimed)
        attempts += 1
    task = reload(task)
    assert attempts == task.attempt == allowed + 1
    assert (task.status, task.retry_count) == ("failed", allowed)
    assert status_history(task) == ["queued"] + ["running", "queued"] * allowed + ["running", "failed"]
    batch.stats.refresh_from_db()
    assert batch.stats.retries == allowed


def test_failed_attempt_is_kept_with_error_and_output():
    batch, [task] = running_batch()
    worker = FakeWorker()
    worker.fail(*worker.claim(batch), traceback="Traceback …", output={"stdout": "half"})
    worker.complete(*worker.claim(batch))
    [kept] = TaskAttempt.objects.filter(task=task)
    assert (kept.number, kept.outcome, kept.error, kept.error_kind) == (1, "failed", "it broke", "ValueError")
    assert (kept.traceback, kept.output, kept.worker) == ("Traceback …", {"stdout": "half"}, worker.name)
    assert kept.started_at <= kept.ended_at
    task = reload(task)
    assert (task.error, task.error_kind, task.result) == ("", "", "attempt 2")


def test_released_attempt_is_not_charged():
    batch, [task] = running_batch(max_retries=0)
    worker = FakeWorker()
    for _ in range(5):
        worker.release(*worker.claim(batch))
    task = reload(task)
    assert (task.status, task.retry_count, task.attempt, task.error, task.run_after) == ("queued", 0, 5, "", None)
    assert tickets_out(batch) == [ticket_for(task)]
    assert worker.complete(*worker.claim(batch)) == 1
    batch.stats.refresh_from_db()
    assert batch.stats.retries == 0


def test_waiting_time_counts_until_the_first_start():
    batch, [task] = running_batch()
    BatchTask.objects.filter(pk=task.pk).update(created_at=task.created_at - timedelta(seconds=100))
    worker = FakeWorker()
    worker.release(*worker.claim(batch))
    worker.complete(*worker.claim(batch))
    batch.stats.refresh_from_db()
    assert batch.stats.started == 1
    assert 100 <= batch.stats.total_wait_time < 160


def test_task_with_a_start_time_waits_for_it():
    batch = make_batch()
    [task] = add_tasks(batch, run_after=database_now() + timedelta(hours=1))
    start(batch)
    assert tickets_out(batch) == []
    assert 3500 < repair.seconds_until_due() <= 3600
    _let_time_pass(task)
    assert repair.seconds_until_due() == 0
    repair.repair()
    assert tickets_out(batch) == [ticket_for(task)]
    assert repair.seconds_until_due() is None


def test_due_task_of_an_open_batch_gets_no_ticket():
    batch = make_batch()
    add_tasks(batch, run_after=database_now() - timedelta(seconds=5))
    repair.repair()
    assert tickets_out(batch) == []


# --- retries on request -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_retry_resets_the_task_but_not_its_attempt_number(status):
    task = task_in(status, max_retries=0)
    attempt = task.attempt
    assert retry(task) == 1
    task = reload(task)
    assert (task.status, task.retry_count, task.attempt) == ("queued", 0, attempt)
    assert (task.error, task.error_kind, task.result, task.completed_at, task.started_at) == ("", "", None, None, None)
    worker = FakeWorker()
    [claimed] = worker.claim(task.batch)
    assert claimed.attempt == attempt + 1
    worker.complete(claimed)


def test_retry_restores_all_retries():
    batch, [task] = running_batch(max_retries=2)
    worker = FakeWorker()
    for round_ in (1, 2):
        for _ in range(3):
            worker.fail(*worker.claim(batch))
        assert (reload(task).status, reload(task).attempt) == ("failed", 3 * round_)
        retry(task)


def test_retry_clears_the_cancel_request():
    """The request to cancel must not cancel the new attempt too."""
    batch, [task] = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    cancel(task)
    worker.record(cancelled(claimed))
    retry(task)
    assert worker.complete(*worker.claim(batch)) == 1
    assert reload(task).status == TaskStatus.COMPLETED


def test_retry_resumes_a_finished_batch():
    task = task_in("failed")
    batch = task.batch
    retry(task)
    batch.refresh_from_db()
    assert batch.state == "running"
    assert len(tickets_out(batch)) == 1


def test_retry_that_starts_a_batch_sets_its_start_time():
    task = task_in("cancelled")
    assert task.batch.stats.start_time is None
    retry(task)
    batch = type(task.batch).objects.select_related("stats").get(pk=task.batch_id)
    assert (batch.state, bool(batch.stats.start_time)) == ("running", True)


@pytest.mark.parametrize("state", ["open", "stopped"])
def test_retry_in_an_open_or_stopped_batch_waits_for_its_start(state):
    batch = make_batch(max_concurrent=10)
    task = task_in("cancelled" if state == "open" else "failed", batch)
    add_tasks(batch)
    if state == "stopped":
        start(batch)
        stop(batch)
    retry(task)
    batch.refresh_from_db()
    assert (batch.state, tickets_out(batch)) == (state, [])


def test_cleared_task_cannot_be_retried():
    task = task_in("failed")
    assert clear(task) == 1
    assert retry(task) == 0
