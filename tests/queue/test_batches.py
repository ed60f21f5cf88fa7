"""Start, stop, finish and reopen; cancel and clear."""

import pytest

from executor.domain.errors import Conflict, NotFound
from executor.domain.states import FINAL, TaskStatus
from executor.models import Batch, BatchTask, TaskAttempt
from executor.queue.batch_queue import BatchQueue
from executor.queue.dispatch import open_batches
from tests.factories import (
    FakeWorker,
    add_tasks,
    cancel,
    cancelled,
    clear,
    completed,
    failed,
    make_batch,
    new_task,
    numbers,
    released,
    reload,
    running_batch,
    start,
    stop,
    task_in,
    ticket_for,
    tickets_out,
)
from tests.queue.history import status_history


def _state(batch) -> str:
    return Batch.objects.get(pk=batch.pk).state


# --- start and finish --------------------------------------------------------------------------------------


def test_start_rejects_an_empty_batch():
    batch = make_batch()
    with pytest.raises(Conflict):
        start(batch)
    assert _state(batch) == "open"


def test_start_of_an_unknown_batch_raises_not_found():
    with pytest.raises(NotFound), BatchQueue([]) as queue:
        queue.start("0" * 32)


def test_open_batch_issues_and_accepts_no_tickets():
    batch = make_batch()
    [task] = add_tasks(batch)
    assert tickets_out(batch) == []
    assert FakeWorker().claim_tickets(ticket_for(task)) == []


def test_batch_finishes_with_its_last_task():
    batch, _ = running_batch(2, 2, 2, max_retries=0)
    worker = FakeWorker()
    one, two, three = worker.claim(batch)
    worker.complete(one)
    worker.fail(two)
    assert _state(batch) == "running"
    cancel(reload(three))
    assert _state(batch) == "running"
    worker.record(cancelled(three))
    assert _state(batch) == "finished"


def test_add_reopens_a_finished_batch():
    batch = task_in("completed").batch
    assert _state(batch) == "finished"
    add_tasks(batch, 2)
    assert (_state(batch), tickets_out(batch)) == ("open", [])
    start(batch)
    worker = FakeWorker()
    assert numbers(worker.claim(batch)) == [2, 3]


def test_start_leaves_a_finished_batch_finished():
    batch = task_in("completed").batch
    start(batch)
    assert _state(batch) == "finished"


def test_add_to_a_running_batch_dispatches_at_once():
    batch, _ = running_batch(2, max_concurrent=5)
    add_tasks(batch, 2)
    assert len(FakeWorker().claim(batch)) == 3


def test_second_start_changes_only_the_limit():
    batch, _ = running_batch(*[2] * 8, max_concurrent=2)
    began = Batch.objects.get(pk=batch.pk).stats.start_time
    start(batch, 4)
    assert Batch.objects.get(pk=batch.pk).stats.start_time == began
    assert len(FakeWorker().claim(batch)) == 4


def test_numbers_continue_after_clear():
    """Numbers identify tasks in frames, and are never reused."""
    batch = make_batch()
    task = task_in("completed", batch)
    clear(task)
    assert numbers(add_tasks(batch, 2)) == [2, 3]


def test_error_in_a_transaction_stores_nothing():
    batch = make_batch()
    [task] = add_tasks(batch)
    with pytest.raises(ZeroDivisionError), open_batches([batch.pk]) as queue:
        queue.add(batch.pk, [new_task(), new_task()])
        queue.start(batch.pk, 50)
        1 / 0  # noqa: B018
    batch.refresh_from_db()
    assert (batch.state, batch.max_concurrent, list(batch.tasks.all())) == ("open", 5, [task])
    assert batch.stats.seq == 1


def test_commit_without_changes_writes_no_frame():
    batch, _ = running_batch()
    seq = Batch.objects.get(pk=batch.pk).stats.seq
    with open_batches([batch.pk]) as queue:
        queue.set_max_concurrent(batch.pk, batch.max_concurrent)
    assert queue.changed == {}
    assert Batch.objects.get(pk=batch.pk).stats.seq == seq


def test_large_commit_writes_one_frame():
    """A reader never sees a part of a commit."""
    batch = make_batch()
    with open_batches([batch.pk]) as queue:
        queue.add(batch.pk, [new_task() for _ in range(4_500)])
    assert list(queue.changed.values()) == [1]
    assert batch.frames.count() == 1


# --- stop ------------------------------------------------------------------------------------------------------


def test_stopped_batch_dispatches_and_claims_nothing():
    batch, tasks = running_batch(*[2] * 6, max_concurrent=3)
    worker = FakeWorker()
    out = tickets_out(batch)
    [running] = worker.claim_tickets(out[0])
    stop(batch)
    assert _state(batch) == "stopping"
    assert worker.claim_tickets(*out) == []
    assert worker.claim_tickets(*[ticket_for(task) for task in tasks]) == []
    assert tickets_out(batch) == []
    worker.complete(running)
    assert (_state(batch), tickets_out(batch)) == ("stopped", [])
    add_tasks(batch)
    assert (_state(batch), tickets_out(batch)) == ("stopped", [])
    assert batch.tasks.filter(status="queued").count() == 6


def test_stopped_batch_continues_after_start():
    batch, _ = running_batch(*[2] * 4, max_concurrent=2)
    worker = FakeWorker()
    worker.complete(*worker.claim(batch, slots=1))
    stop(batch)
    start(batch)
    while claimed := worker.claim(batch):
        worker.complete(*claimed)
    assert _state(batch) == "finished"
    assert batch.tasks.filter(status="completed", attempt=1).count() == 4


def test_batch_without_running_tasks_is_stopped_at_once():
    batch, _ = running_batch()
    stop(batch)
    assert _state(batch) == "stopped"


def test_retry_after_a_stop_waits_for_the_start():
    batch, _ = running_batch(retry_delay=0)
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    stop(batch)
    worker.fail(claimed)
    assert (_state(batch), tickets_out(batch)) == ("stopped", [])
    start(batch)
    assert len(worker.claim(batch)) == 1


def test_forced_stop_releases_tasks_uncharged():
    batch, [task] = running_batch(max_retries=0)
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    stop(batch, force=True)
    batch.refresh_from_db()
    assert (batch.state, batch.stop_forced) == ("stopping", True)
    worker.record(released(claimed))
    task = reload(task)
    assert (_state(batch), task.status, task.retry_count) == ("stopped", "queued", 0)
    start(batch)
    batch.refresh_from_db()
    assert not batch.stop_forced
    assert worker.complete(*worker.claim(batch)) == 1


def test_stop_can_become_forced_but_not_unforced():
    batch, _ = running_batch()
    FakeWorker().claim(batch)
    for force, expected in ((False, False), (True, True), (False, True)):
        stop(batch, force=force)
        assert Batch.objects.get(pk=batch.pk).stop_forced == expected


@pytest.mark.parametrize("status", ["queued", "completed"])
def test_stop_of_a_batch_that_does_not_run_changes_nothing(status):
    batch = task_in(status).batch
    before = Batch.objects.filter(pk=batch.pk).values("state", "stop_forced", "stats__seq").get()
    stop(batch, force=True)
    assert Batch.objects.filter(pk=batch.pk).values("state", "stop_forced", "stats__seq").get() == before


def test_start_of_a_stopping_batch_keeps_its_running_tasks():
    batch, _ = running_batch(2, 2, max_concurrent=1)
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    stop(batch)
    start(batch)
    assert _state(batch) == "running"
    assert worker.complete(claimed) == 1
    assert worker.complete(*worker.claim(batch)) == 1


# --- cancel ----------------------------------------------------------------------------------------------------


def test_cancel_of_a_queued_task_is_immediate_and_voids_its_ticket():
    batch, [task, _] = running_batch(2, 2, max_concurrent=1)
    ticket = ticket_for(task)
    assert cancel(task) == (1, 0)
    task = reload(task)
    assert (task.status, task.error_kind, task.attempt) == ("cancelled", "cancelled", 0)
    assert FakeWorker().claim_tickets(ticket) == []
    assert numbers(FakeWorker().claim(batch)) == [2], "the slot goes to the next one"


def test_cancel_of_a_running_task_is_requested_then_recorded():
    batch, [task] = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    assert cancel(task) == (0, 1)
    assert reload(task).status == TaskStatus.RUNNING
    assert reload(task).cancel_requested_at
    assert worker.record(cancelled(claimed)) == 1
    assert status_history(task) == ["queued", "running", "cancelled"]


@pytest.mark.parametrize("outcome", [completed, failed, released], ids=["completes", "fails", "is released"])
def test_cancel_request_wins_over_every_later_outcome(outcome):
    batch, [task] = running_batch(max_retries=3)
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    cancel(task)
    assert worker.record(outcome(claimed)) == 1
    task = reload(task)
    assert (task.status, task.error_kind, task.result) == ("cancelled", "cancelled", None)
    assert _state(batch) == "finished"


def test_cancel_of_a_final_task_changes_nothing():
    for status in FINAL:
        task = task_in(status)
        before = BatchTask.objects.filter(pk=task.pk).values().get()
        assert cancel(task) == (0, 0)
        assert BatchTask.objects.filter(pk=task.pk).values().get() == before


def test_second_cancel_has_no_effect():
    batch, [task] = running_batch()
    FakeWorker().claim(batch)
    assert cancel(task) == (0, 1)
    assert cancel(task) == (0, 0)


def test_cancel_of_a_task_in_backoff_is_final():
    batch, [task] = running_batch(retry_delay=1000)
    worker = FakeWorker()
    worker.fail(*worker.claim(batch))
    assert cancel(task) == (1, 0)
    assert reload(task).run_after is None
    assert _state(batch) == "finished"


def test_cancel_of_all_tasks_finishes_an_open_batch():
    batch = make_batch()
    cancel(*add_tasks(batch, 3))
    assert _state(batch) == "finished"


# --- clear -----------------------------------------------------------------------------------------------------


def test_clear_deletes_final_tasks_and_their_attempts():
    batch = make_batch(max_concurrent=100)
    worker = FakeWorker()
    over = [task_in(status, batch, worker) for status in ("completed", "failed", "cancelled", "completed")]
    [running], [waiting] = add_tasks(batch), add_tasks(batch)
    start(batch)
    [claimed] = worker.claim_tickets(ticket_for(running))
    assert clear(*over, reload(claimed), waiting) == 4
    assert set(batch.tasks.values_list("status", flat=True)) == {"running", "queued"}
    assert not TaskAttempt.objects.exists()
    assert [status_history(task)[-1] for task in over] == ["cleared"] * 4
    worker.complete(claimed)


def test_clear_subtracts_the_execution_time():
    batch = make_batch(max_concurrent=100)
    worker = FakeWorker()
    add_tasks(batch, 3)
    start(batch)
    claimed = worker.claim(batch)
    for seconds, task in zip((0.1, 0.2, 0.7), claimed, strict=True):
        worker.complete(task, execution_time=seconds)
    clear(reload(claimed[2]))
    assert Batch.objects.get(pk=batch.pk).stats.total_execution_time == pytest.approx(0.3)


def test_clear_of_all_tasks_resets_the_counters():
    task = task_in("completed")
    clear(task)
    stats = Batch.objects.get(pk=task.batch_id).stats
    assert (stats.total_tasks, stats.total_execution_time) == (0, 0.0)


def test_clear_splits_large_selections():
    batch = make_batch()
    tasks = []
    with open_batches([batch.pk]) as queue:
        queue.add(batch.pk, [new_task() for _ in range(1_200)])
    tasks = list(batch.tasks.all())
    cancel(*tasks)
    assert clear(*tasks) == 1_200
