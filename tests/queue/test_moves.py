"""Every verb against every status: only the moves of the table change anything."""

import pytest

from executor.domain.messages import Cancelled, Candidate, Claim, Completed, Failed, Released
from executor.domain.states import FINAL, MOVES, Priority, TaskStatus
from executor.models import BatchTask
from executor.queue.dispatch import open_batches
from executor.queue.repair import rescue_lost_workers
from tests.factories import (
    FakeWorker,
    add_tasks,
    cancel,
    clear,
    make_batch,
    retry,
    select_tasks,
    start,
    task_in,
    ticket_for,
)
from tests.queue.history import status_history


def _claim(task, worker):
    worker.claim_tickets(ticket_for(task))


def _end(task, outcome, *values):
    """Record an outcome with the very attempt and worker of the row: only the status can refuse it."""
    with open_batches([task.batch_id]) as queue:
        queue.record_outcomes([outcome(Claim(task.pk, task.batch_id, task.attempt), *values)], task.worker)


def _complete(task, worker):
    _end(task, Completed, 1.0, "1")


def _fail(task, worker):
    _end(task, Failed, 1.0, "it broke", "ValueError")


def _release(task, worker):
    _end(task, Released)


def _rescue(task, worker):
    worker.fall_silent()
    rescue_lost_workers()


def _cancel(task, worker):
    """Cancel a task; a running one ends when its worker records that."""
    if cancel(task) == (0, 1):
        _end(task, Cancelled, 1.0, "")


def _retry(task, worker):
    retry(task)


VERBS = {
    "claim": _claim,
    "complete": _complete,
    "fail": _fail,
    "release": _release,
    "rescue": _rescue,
    "cancel": _cancel,
    "retry": _retry,
}


def test_every_verb_of_the_product_is_tested():
    assert VERBS.keys() == MOVES.keys()


def _row(task):
    return BatchTask.objects.filter(pk=task.pk).values().first()


def _placed(status, **fields):
    """Return a task in this status in a running batch, so that only the task's status can refuse."""
    batch, worker = make_batch(max_concurrent=100), FakeWorker()
    add_tasks(batch)
    start(batch)
    return task_in(status, batch, worker, **fields), worker


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("status", TaskStatus.values)
@pytest.mark.parametrize("name", MOVES)
def test_verbs_make_exactly_the_moves_of_the_table(name, status, retries):
    task, worker = _placed(status, max_retries=retries) if status != "failed" else _placed(status)
    before, story = _row(task), status_history(task)
    VERBS[name](task, worker)
    takes, leaves = MOVES[name].sources, MOVES[name].targets
    after = _row(task)
    if status in takes:
        assert after["status"] in leaves
        if name in ("fail", "rescue"):
            assert after["status"] == ("queued" if retries else "failed")
        assert status_history(task) == [*story, after["status"]]
    else:
        assert after == before
        assert status_history(task) == story


@pytest.mark.parametrize("status", TaskStatus.values)
def test_only_a_queued_task_gets_a_ticket(status):
    task, _ = _placed(status)
    select_tasks([task]).update(dispatched_at=None)
    with open_batches([task.batch_id]) as queue:
        batch = queue.batch(task.batch_id)
        queue.dispatch(batch, [Candidate(task.pk, task.attempt, task.priority, task.number)])
    assert bool(_row(task)["dispatched_at"]) == (status == TaskStatus.QUEUED)


@pytest.mark.parametrize("status", TaskStatus.values)
def test_only_a_final_task_can_be_cleared(status):
    task, _ = _placed(status)
    assert clear(task) == (status in FINAL)
    assert (_row(task) is None) == (status in FINAL)


@pytest.mark.parametrize("status", TaskStatus.values)
def test_only_a_queued_task_changes_its_priority(status):
    task, _ = _placed(status)
    with open_batches([task.batch_id]) as queue:
        assert queue.set_priority(task.batch_id, select_tasks([task]), Priority.CRITICAL) == (
            status == TaskStatus.QUEUED
        )
    assert (_row(task)["priority"] == Priority.CRITICAL) == (status == TaskStatus.QUEUED)


@pytest.mark.parametrize("status", TaskStatus.values)
def test_factory_makes_consistent_times(status):
    task = task_in(status)
    if task.started_at:
        assert task.created_at <= task.started_at
    if task.completed_at:
        assert task.completed_at >= (task.started_at or task.created_at)
    assert bool(task.completed_at) == (status in FINAL)
    assert bool(task.started_at) == (status in ("running", "completed", "failed"))
    assert (task.result is not None) == (status == "completed")
