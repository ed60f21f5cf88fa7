"""Start, stop, finish and open again; cancel and clear."""

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


def test_an_empty_batch_cannot_be_started():
    batch = make_batch()
    with pytest.raises(Conflict):
        start(batch)
    assert _state(batch) == "open"


def test_a_batch_that_does_not_exist_is_not_found():
    with pytest.raises(NotFound), BatchQueue([]) as queue:
        queue.start("0" * 32)


def test_an_open_batch_issues_no_ticket_and_lets_none_be_redeemed():
    batch = make_batch()
    [task] = add_tasks(batch)
    assert tickets_out(batch) == []
    assert FakeWorker().claim_tickets(ticket_for(task)) == []


def test_a_batch_is_finished_with_its_last_task_and_not_before():
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


def test_adding_to_a_finished_batch_opens_it_again():
    batch = task_in("completed").batch
    assert _state(batch) == "finished"
    add_tasks(batch, 2)
    assert (_state(batch), tickets_out(batch)) == ("open", [])
    start(batch)
    worker = FakeWorker()
    assert numbers(worker.claim(batch)) == [2, 3]


def test_starting_a_finished_batch_leaves_it_finished():
    batch = task_in("completed").batch
    start(batch)
    assert _state(batch) == "finished"


def test_adding_to_a_running_batch_goes_out_at_once():
    batch, _ = running_batch(2, max_concurrent=5)
    add_tasks(batch, 2)
    assert len(FakeWorker().claim(batch)) == 3


def test_a_second_start_changes_the_limit_and_nothing_else():
    batch, _ = running_batch(*[2] * 8, max_concurrent=2)
    began = Batch.objects.get(pk=batch.pk).stats.start_time
    start(batch, 4)
    assert Batch.objects.get(pk=batch.pk).stats.start_time == began
    assert len(FakeWorker().claim(batch)) == 4


def test_numbers_go_on_after_a_clear():
    """A number is what frames and people know a task by: it is given once."""
    batch = make_batch()
    task = task_in("completed", batch)
    clear(task)
    assert numbers(add_tasks(batch, 2)) == [2, 3]


def test_a_failure_in_the_middle_stores_nothing_at_all():
    batch = make_batch()
    [task] = add_tasks(batch)
    with pytest.raises(ZeroDivisionError), open_batches([batch.pk]) as queue:
        queue.add(batch.pk, [new_task(), new_task()])
        queue.start(batch.pk, 50)
        1 / 0  # noqa: B018
    batch.refresh_from_db()
    assert (batch.state, batch.max_concurrent, list(batch.tasks.all())) == ("open", 5, [task])
    assert batch.stats.seq == 1


def test_a_commit_that_changes_nothing_writes_no_frame():
    batch, _ = running_batch()
    seq = Batch.objects.get(pk=batch.pk).stats.seq
    with open_batches([batch.pk]) as queue:
        queue.set_max_concurrent(batch.pk, batch.max_concurrent)
    assert queue.changed == {}
    assert Batch.objects.get(pk=batch.pk).stats.seq == seq


def test_a_commit_is_one_frame_however_large_it_is():
    """A reader never sees half of what happened at once."""
    batch = make_batch()
    with open_batches([batch.pk]) as queue:
        queue.add(batch.pk, [new_task() for _ in range(4_500)])
    assert list(queue.changed.values()) == [1]
    assert batch.frames.count() == 1


# --- stop ------------------------------------------------------------------------------------------------------


def test_after_a_stop_nothing_is_dispatched_and_nothing_claimed():
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


def test_a_stopped_batch_goes_on_where_it_was():
    batch, _ = running_batch(*[2] * 4, max_concurrent=2)
    worker = FakeWorker()
    worker.complete(*worker.claim(batch, slots=1))
    stop(batch)
    start(batch)
    while claimed := worker.claim(batch):
        worker.complete(*claimed)
    assert _state(batch) == "finished"
    assert batch.tasks.filter(status="completed", attempt=1).count() == 4


def test_a_batch_without_running_tasks_is_stopped_at_once():
    batch, _ = running_batch()
    stop(batch)
    assert _state(batch) == "stopped"


def test_a_retry_that_comes_after_the_stop_waits_for_the_start():
    batch, _ = running_batch(retry_delay=0)
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    stop(batch)
    worker.fail(claimed)
    assert (_state(batch), tickets_out(batch)) == ("stopped", [])
    start(batch)
    assert len(worker.claim(batch)) == 1


def test_a_forced_stop_tells_workers_to_give_tasks_back_and_charges_nothing():
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


def test_a_stop_can_be_made_a_forced_one_and_not_the_other_way_round():
    batch, _ = running_batch()
    FakeWorker().claim(batch)
    for force, expected in ((False, False), (True, True), (False, True)):
        stop(batch, force=force)
        assert Batch.objects.get(pk=batch.pk).stop_forced == expected


@pytest.mark.parametrize("status", ["queued", "completed"])
def test_stopping_what_does_not_run_changes_nothing(status):
    batch = task_in(status).batch
    before = Batch.objects.filter(pk=batch.pk).values("state", "stop_forced", "stats__seq").get()
    stop(batch, force=True)
    assert Batch.objects.filter(pk=batch.pk).values("state", "stop_forced", "stats__seq").get() == before


def test_a_stopping_batch_that_is_started_again_lets_its_running_tasks_be():
    batch, _ = running_batch(2, 2, max_concurrent=1)
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    stop(batch)
    start(batch)
    assert _state(batch) == "running"
    assert worker.complete(claimed) == 1
    assert worker.complete(*worker.claim(batch)) == 1


# --- cancel ----------------------------------------------------------------------------------------------------


def test_a_queued_task_is_cancelled_at_once_and_its_ticket_is_void():
    batch, [task, _] = running_batch(2, 2, max_concurrent=1)
    ticket = ticket_for(task)
    assert cancel(task) == (1, 0)
    task = reload(task)
    assert (task.status, task.error_kind, task.attempt) == ("cancelled", "cancelled", 0)
    assert FakeWorker().claim_tickets(ticket) == []
    assert numbers(FakeWorker().claim(batch)) == [2], "the slot goes to the next one"


def test_a_running_task_is_asked_to_end_and_cancelled_when_it_did():
    batch, [task] = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    assert cancel(task) == (0, 1)
    assert reload(task).status == TaskStatus.RUNNING
    assert reload(task).cancel_requested_at
    assert worker.record(cancelled(claimed)) == 1
    assert status_history(task) == ["queued", "running", "cancelled"]


@pytest.mark.parametrize("outcome", [completed, failed, released], ids=["completes", "fails", "is released"])
def test_a_cancel_wins_whatever_the_attempt_says_afterwards(outcome):
    batch, [task] = running_batch(max_retries=3)
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    cancel(task)
    assert worker.record(outcome(claimed)) == 1
    task = reload(task)
    assert (task.status, task.error_kind, task.result) == ("cancelled", "cancelled", None)
    assert _state(batch) == "finished"


def test_a_cancel_that_comes_after_the_end_changes_nothing():
    for status in FINAL:
        task = task_in(status)
        before = BatchTask.objects.filter(pk=task.pk).values().get()
        assert cancel(task) == (0, 0)
        assert BatchTask.objects.filter(pk=task.pk).values().get() == before


def test_a_second_cancel_counts_nothing():
    batch, [task] = running_batch()
    FakeWorker().claim(batch)
    assert cancel(task) == (0, 1)
    assert cancel(task) == (0, 0)


def test_a_task_that_waits_for_its_retry_is_cancelled_for_good():
    batch, [task] = running_batch(retry_delay=1000)
    worker = FakeWorker()
    worker.fail(*worker.claim(batch))
    assert cancel(task) == (1, 0)
    assert reload(task).run_after is None
    assert _state(batch) == "finished"


def test_cancelling_all_finishes_a_batch_that_never_ran():
    batch = make_batch()
    cancel(*add_tasks(batch, 3))
    assert _state(batch) == "finished"


# --- clear -----------------------------------------------------------------------------------------------------


def test_clear_takes_what_is_over_with_its_attempts_and_leaves_the_rest():
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


def test_clear_takes_the_time_of_what_went_out_of_the_books():
    batch = make_batch(max_concurrent=100)
    worker = FakeWorker()
    add_tasks(batch, 3)
    start(batch)
    claimed = worker.claim(batch)
    for seconds, task in zip((0.1, 0.2, 0.7), claimed, strict=True):
        worker.complete(task, execution_time=seconds)
    clear(reload(claimed[2]))
    assert Batch.objects.get(pk=batch.pk).stats.total_execution_time == pytest.approx(0.3)


def test_a_batch_that_was_cleared_empty_has_nothing_in_its_books():
    task = task_in("completed")
    clear(task)
    stats = Batch.objects.get(pk=task.batch_id).stats
    assert (stats.total_tasks, stats.total_execution_time) == (0, 0.0)


def test_clear_takes_more_than_one_statement_does():
    batch = make_batch()
    tasks = []
    with open_batches([batch.pk]) as queue:
        queue.add(batch.pk, [new_task() for _ in range(1_200)])
    tasks = list(batch.tasks.all())
    cancel(*tasks)
    assert clear(*tasks) == 1_200
