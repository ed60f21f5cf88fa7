"""Races in a forced order: the second transaction sees the first, and nothing is done twice."""

import threading

import pytest

from executor.domain.states import TaskStatus
from executor.models import Batch, BatchTask
from executor.queue import repair
from executor.queue.dispatch import open_batches
from executor.worker.liveness import beat
from tests.factories import (
    FakeWorker,
    add_tasks,
    cancel,
    make_batch,
    new_task,
    reload,
    running_batch,
    select_tasks,
    start,
    task_in,
    ticket_for,
    tickets_out,
)
from tests.queue.history import status_history
from tests.queue.interleave import JOIN_TIMEOUT, ConcurrentCall, run_between
from tests.queue.test_rescue import _age_tickets

pytestmark = pytest.mark.django_db(transaction=True)

BATCHES_OF_A_WORKER = 'SELECT DISTINCT "executor_batchtask"."batch_id"'


# --- the batch's lock --------------------------------------------------------------------------------------------


def test_concurrent_claim_waits_and_finds_no_free_slot():
    batch, [first, second] = running_batch(2, 2, max_concurrent=1)
    one, other = FakeWorker(), FakeWorker()
    mine, theirs = ticket_for(first), ticket_for(second)
    with open_batches([batch.pk]) as queue:
        concurrent = ConcurrentCall(lambda: other.claim_tickets(theirs))
        concurrent.start()
        assert concurrent.is_blocked()
        assert len(queue.claim_tickets([mine], one.name)) == 1
    assert concurrent.join() == []


def test_claim_sees_a_concurrent_stop():
    batch, [task] = running_batch()
    worker, ticket = FakeWorker(), ticket_for(task)
    with open_batches([batch.pk]) as queue:
        concurrent = ConcurrentCall(lambda: worker.claim_tickets(ticket))
        concurrent.start()
        assert concurrent.is_blocked()
        queue.stop(batch.pk)
    assert concurrent.join() == []
    assert reload(task).status == TaskStatus.QUEUED


def test_claim_sees_a_concurrently_lowered_limit():
    batch, tasks = running_batch(2, 2, 2, max_concurrent=3)
    worker, tickets = FakeWorker(), [ticket_for(task) for task in tasks]
    with open_batches([batch.pk]) as queue:
        concurrent = ConcurrentCall(lambda: worker.claim_tickets(*tickets))
        concurrent.start()
        assert concurrent.is_blocked()
        queue.set_max_concurrent(batch.pk, 1)
    assert len(concurrent.join()) == 1


def test_concurrent_adds_get_different_numbers():
    batch = make_batch()
    with open_batches([batch.pk]) as queue:
        concurrent = ConcurrentCall(lambda: [task.number for task in add_tasks(batch, 3)])
        concurrent.start()
        assert concurrent.is_blocked()
        assert queue.add(batch.pk, [new_task(), new_task()]) == [1, 2]
    assert concurrent.join() == [3, 4, 5]


def test_batches_are_locked_in_one_order():
    """Transactions that lock the same batches in different orders would deadlock."""
    one, two = make_batch(), make_batch()
    gate = threading.Barrier(2, timeout=JOIN_TIMEOUT)

    def add(*batches):
        for _ in range(15):
            gate.wait()
            with open_batches([batch.pk for batch in batches]) as queue:
                for batch in batches:
                    queue.add(batch.pk, [new_task()])

    calls = [ConcurrentCall(lambda: add(one, two)), ConcurrentCall(lambda: add(two, one))]
    for concurrent in calls:
        concurrent.start()
    for concurrent in calls:
        concurrent.join()
    assert one.tasks.count() == two.tasks.count() == 30


# --- changes between a read and the lock ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [{"after": BATCHES_OF_A_WORKER}, {"before": 'UPDATE "executor_workernode"'}],
    ids=["before the lock", "before it is marked"],
)
def test_heartbeat_during_a_rescue_prevents_it(moment):
    batch, _ = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    worker.fall_silent()
    with run_between(lambda: beat(worker.name), **moment):
        repair.rescue_lost_workers()
    assert worker.node.state == "active"
    assert worker.complete(claimed) == 1


def test_outcome_recorded_before_the_rescue_stands():
    batch, _ = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    worker.fall_silent()
    with run_between(lambda: worker.complete(claimed), after=BATCHES_OF_A_WORKER):
        repair.rescue_lost_workers()
    task = reload(claimed)
    assert (task.status, task.attempt, task.retry_count) == ("completed", 1, 0)


def test_task_claimed_during_a_rescue_is_rescued_next():
    """The task is in a batch that the first rescue did not lock."""
    one, _ = running_batch()
    two, [late] = running_batch()
    worker = FakeWorker()
    worker.claim(one)
    worker.fall_silent()
    with run_between(lambda: worker.claim(two), after=BATCHES_OF_A_WORKER):
        repair.rescue_lost_workers()
    repair.rescue_lost_workers()
    assert status_history(late) == ["queued", "running", "queued"]


def test_concurrent_rescues_charge_an_attempt_once():
    batch, [task] = running_batch()
    worker = FakeWorker()
    worker.claim(batch)
    worker.fall_silent()
    with run_between(repair.rescue_lost_workers, after=BATCHES_OF_A_WORKER):
        repair.rescue_lost_workers()
    assert (reload(task).retry_count, status_history(task)) == (1, ["queued", "running", "queued"])


def test_ticket_claimed_during_repair_is_not_issued_again(valkey):
    batch, [task] = running_batch()
    worker, ticket = FakeWorker(), ticket_for(task)
    valkey.flushall()
    _age_tickets(batch)
    with run_between(lambda: worker.claim_tickets(ticket), after='"dispatched_at" <'):
        repair.reissue_lost_tickets()
    assert (reload(task).status, reload(task).attempt) == ("running", 1)
    assert tickets_out(batch) == []


def test_due_task_cancelled_concurrently_stays_cancelled():
    batch, [task] = running_batch(retry_delay=1000)
    worker = FakeWorker()
    worker.fail(*worker.claim(batch))
    BatchTask.objects.filter(pk=task.pk).update(run_after=task.created_at)
    with run_between(lambda: cancel(task), after=BATCHES_OF_A_WORKER):
        repair.wake_due_tasks()
    assert reload(task).status == TaskStatus.CANCELLED


def test_selection_is_evaluated_again_under_the_lock():
    """A task retried before the lock is not cleared."""
    task = task_in("failed")
    selected = select_tasks([task])
    assert selected.get().status == TaskStatus.FAILED
    with open_batches([task.batch_id]) as queue:
        assert queue.retry(task.batch_id, select_tasks([task])) == 1
        assert queue.clear(task.batch_id, selected) == 0
    assert reload(task).status == TaskStatus.QUEUED


# --- many at once: smoke ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3])
def test_concurrent_claims_never_exceed_the_limit(limit):
    batch = make_batch(max_concurrent=limit)
    tasks = add_tasks(batch, 24)
    start(batch)
    tickets = [ticket_for(task) for task in tasks]
    gate, most = threading.Barrier(4, timeout=JOIN_TIMEOUT), []

    def work(worker, mine):
        gate.wait()
        for ticket in mine:
            claimed = worker.claim_tickets(ticket)
            most.append(Batch.objects.get(pk=batch.pk).stats.running)
            if claimed:
                worker.complete(*claimed)

    workers = [FakeWorker() for _ in range(4)]
    calls = [
        ConcurrentCall(lambda at=at, worker=worker: work(worker, tickets[at::4])) for at, worker in enumerate(workers)
    ]
    for concurrent in calls:
        concurrent.start()
    for concurrent in calls:
        concurrent.join()
    assert 1 <= max(most) <= limit
    worker = FakeWorker()
    while claimed := worker.claim(batch):
        worker.complete(*claimed)
    assert batch.tasks.filter(status="completed", attempt=1).count() == 24


def test_concurrent_claims_with_one_ticket_start_one_attempt():
    _, [task] = running_batch(max_concurrent=10)
    ticket, gate = ticket_for(task), threading.Barrier(4, timeout=JOIN_TIMEOUT)
    workers = [FakeWorker() for _ in range(4)]

    def claim(worker):
        gate.wait()
        return worker.claim_tickets(ticket)

    calls = [ConcurrentCall(lambda worker=worker: claim(worker)) for worker in workers]
    for concurrent in calls:
        concurrent.start()
    assert sum(len(concurrent.join()) for concurrent in calls) == 1
    assert reload(task).attempt == 1
