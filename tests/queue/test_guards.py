"""Guards: an old attempt or another worker changes nothing; a ticket is good for one claim."""

import uuid
from dataclasses import replace

import pytest

from executor.domain.messages import Progress, Ticket
from executor.domain.states import TaskStatus
from executor.models import BatchFrame, BatchTask, TaskAttempt
from executor.queue.dispatch import open_batches
from executor.queue.repair import rescue_lost_workers
from tests.factories import (
    FakeWorker,
    cancelled,
    completed,
    failed,
    released,
    reload,
    running_batch,
    ticket_for,
    tickets_out,
)
from tests.queue.history import status_history


def _everything():
    return (
        list(BatchTask.objects.order_by("pk").values()),
        list(BatchFrame.objects.order_by("pk").values()),
        list(TaskAttempt.objects.order_by("pk").values()),
    )


OUTCOMES = {"completed": completed, "failed": failed, "released": released, "cancelled": cancelled}
each_outcome = pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)


@each_outcome
def test_outcome_of_another_worker_is_refused(outcome):
    batch, _ = running_batch()
    [claimed] = FakeWorker().claim(batch)
    before = _everything()
    assert FakeWorker().record(outcome(claimed)) == 0
    assert _everything() == before


@each_outcome
def test_outcome_of_a_rescued_worker_is_refused(outcome):
    batch, _ = running_batch()
    sleeper, heir = FakeWorker(), FakeWorker()
    [old] = sleeper.claim(batch)
    sleeper.fall_silent()
    rescue_lost_workers()
    [new] = heir.claim(batch)
    assert new.attempt == old.attempt + 1
    before = _everything()
    assert sleeper.record(outcome(old)) == 0
    assert _everything() == before
    assert heir.complete(new) == 1
    assert reload(new).result == "attempt 2"


@each_outcome
def test_outcome_of_an_older_attempt_of_the_same_worker_is_refused(outcome):
    """Only the attempt differs."""
    batch, _ = running_batch()
    worker = FakeWorker()
    [old] = worker.claim(batch)
    worker.release(old)
    [new] = worker.claim(batch)
    before = _everything()
    assert worker.record(outcome(old)) == 0
    assert _everything() == before
    assert worker.complete(new) == 1


@each_outcome
@pytest.mark.parametrize("first", [True, False], ids=["stale first", "stale last"])
def test_stale_outcome_does_not_hide_the_valid_one_in_its_commit(outcome, first):
    batch, _ = running_batch()
    worker = FakeWorker()
    [old] = worker.claim(batch)
    worker.release(old)
    [new] = worker.claim(batch)
    outcomes = [outcome(old), completed(new, execution_time=2.0)]
    assert worker.record(*(outcomes if first else outcomes[::-1])) == 1
    task = reload(new)
    assert (task.status, task.result, task.execution_time) == ("completed", "attempt 2", 2.0)


@each_outcome
@pytest.mark.parametrize("again", OUTCOMES.values(), ids=OUTCOMES)
def test_second_outcome_of_an_attempt_is_refused(outcome, again):
    batch, _ = running_batch(max_retries=0)
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    assert worker.record(outcome(claimed)) == 1
    before = _everything()
    assert worker.record(again(claimed)) == 0
    assert _everything() == before


def test_duplicate_outcome_in_one_commit_counts_once():
    batch, _ = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    assert worker.record(completed(claimed), completed(claimed)) == 1
    assert reload(claimed).status == TaskStatus.COMPLETED


def test_duplicate_ticket_starts_one_attempt():
    _, [task] = running_batch()
    ticket = ticket_for(task)
    one, other = FakeWorker(), FakeWorker()
    assert len(one.claim_tickets(ticket, ticket)) == 1
    before = _everything()
    assert other.claim_tickets(ticket) == one.claim_tickets(ticket) == []
    assert _everything() == before


def test_ticket_for_a_past_or_future_attempt_starts_nothing():
    batch, [task] = running_batch()
    worker = FakeWorker()
    old = ticket_for(task)
    worker.release(*worker.claim(batch))
    before = _everything()
    assert worker.claim_tickets(old) == []
    assert worker.claim_tickets(old._replace(attempt=old.attempt + 2)) == []
    assert _everything() == before
    assert len(worker.claim_tickets(ticket_for(task))) == 1


@pytest.mark.parametrize("first", [True, False], ids=["stale first", "stale last"])
def test_stale_ticket_does_not_hide_the_valid_one(first):
    batch, [task] = running_batch()
    worker = FakeWorker()
    old = ticket_for(task)
    worker.release(*worker.claim(batch))
    pair = [old, ticket_for(task)]
    claimed = worker.claim_tickets(*(pair if first else pair[::-1]))
    assert [each.attempt for each in claimed] == [2]


def test_unknown_tickets_are_dropped():
    _, [task] = running_batch()
    good = ticket_for(task)
    unknown = [
        Ticket(uuid.uuid4(), 1, good.batch_id),
        Ticket(uuid.uuid4(), 1, uuid.uuid4()),
        good._replace(batch_id=uuid.uuid4()),
    ]
    before = _everything()
    assert FakeWorker().claim_tickets(*unknown) == []
    assert _everything() == before
    assert len(FakeWorker().claim_tickets(*unknown, good)) == 1


def test_ticket_with_the_wrong_batch_starts_nothing():
    _, [task] = running_batch()
    other, _ = running_batch()
    ticket = ticket_for(task)._replace(batch_id=other.pk)
    assert FakeWorker().claim_tickets(ticket) == []
    assert reload(task).status == TaskStatus.QUEUED


def test_outcome_for_an_unknown_batch_is_refused():
    batch, _ = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    gone = replace(completed(claimed), claim=claimed.claim._replace(batch_id=uuid.uuid4()))
    assert worker.record(gone) == 0
    assert worker.complete(claimed) == 1


def test_attempt_numbers_only_increase():
    batch, [task] = running_batch(max_retries=1)
    worker = FakeWorker()
    seen = []
    for end in (worker.release, worker.fail, worker.release, worker.complete):
        [claimed] = worker.claim(batch)
        seen.append(claimed.attempt)
        end(claimed)
    assert seen == [1, 2, 3, 4]
    assert status_history(task)[-1] == "completed"
    kept = TaskAttempt.objects.filter(task=task).order_by("number").values_list("number", "outcome")
    assert list(kept) == [(1, "released"), (2, "failed"), (3, "released")]
    assert not tickets_out(batch)


# --- progress ------------------------------------------------------------------------------------------------------


def _report_progress(worker, task, value):
    with open_batches([task.batch_id]) as queue:
        queue.record_progress([Progress(task.claim, value)], worker.name)


def test_progress_is_kept_until_the_attempt_ends():
    batch, [task] = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    _report_progress(worker, claimed, [1, 4, "first of four"])
    assert reload(task).progress == [1, 4, "first of four"]
    worker.complete(claimed)
    assert reload(task).progress is None


def test_progress_of_a_claim_that_is_not_held_is_refused():
    batch, _ = running_batch()
    worker, stranger = FakeWorker(), FakeWorker()
    [old] = worker.claim(batch)
    worker.release(old)
    [new] = worker.claim(batch)
    before = _everything()
    _report_progress(worker, old, [1, 2, "stale"])
    _report_progress(stranger, new, [1, 2, "not mine"])
    assert _everything() == before
    worker.complete(new)
    before = _everything()
    _report_progress(worker, new, [2, 2, "too late"])
    assert _everything() == before
