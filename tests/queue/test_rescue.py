"""Repair: tasks of lost workers, and tickets that Redis lost."""

from datetime import timedelta

import pytest
from django.conf import settings

from executor.broker import tickets
from executor.broker.ticket_job import queue_key
from executor.db.dialect import database_now
from executor.domain.states import TaskStatus
from executor.models import BatchTask, TaskAttempt, WorkerNode
from executor.queue import dispatch, repair
from executor.reads import presenters
from executor.worker.heartbeat import Heartbeat
from executor.worker.liveness import beat
from tests.factories import (
    FakeWorker,
    IdleListener,
    add_tasks,
    cancel,
    make_batch,
    reload,
    running_batch,
    start,
    stop,
    ticket_for,
    tickets_out,
)
from tests.queue.history import status_history
from tests.support.waiting import eventually

# --- lost workers --------------------------------------------------------------------------------------------


def test_rescue_queues_tasks_of_a_silent_worker_and_marks_it_dead():
    batch, tasks = running_batch(2, 2)
    lost, well = FakeWorker(), FakeWorker()
    [held] = lost.claim(batch, slots=1)
    [other] = well.claim(batch, slots=1)
    lost.fall_silent()
    repair.rescue_lost_workers()
    task = reload(held)
    assert (task.status, task.retry_count, task.worker) == ("queued", 1, "")
    assert reload(other).status == TaskStatus.RUNNING
    assert (lost.node.state, well.node.state) == ("dead", "active")
    [kept] = TaskAttempt.objects.filter(task_id=held.task_id)
    assert (kept.error_kind, kept.worker) == ("worker_lost", lost.name)
    assert tickets_out(batch) == [ticket_for(tasks[0])]


def test_worker_within_the_heartbeat_limit_keeps_its_tasks():
    batch, _ = running_batch()
    worker = FakeWorker()
    [held] = worker.claim(batch)
    worker.fall_silent(settings.BATCH_HEARTBEAT_LIMIT - 5)
    repair.rescue_lost_workers()
    assert reload(held).status == TaskStatus.RUNNING
    assert worker.node.state == "active"
    worker.fall_silent(10)
    repair.rescue_lost_workers()
    assert reload(held).status == TaskStatus.QUEUED


def test_heartbeat_of_a_dead_worker_is_refused():
    worker = FakeWorker()
    assert beat(worker.name)
    worker.fall_silent()
    repair.rescue_lost_workers()
    assert not beat(worker.name)
    assert worker.node.state == "dead"


@pytest.mark.parametrize("state", ["stopped", "dead"])
def test_tasks_of_an_ended_worker_are_rescued(state):
    batch, _ = running_batch()
    worker = FakeWorker()
    [held] = worker.claim(batch)
    WorkerNode.objects.filter(name=worker.name).update(state=state)
    repair.rescue_lost_workers()
    assert reload(held).status == TaskStatus.QUEUED
    assert worker.node.state == state


def test_tasks_of_an_unknown_worker_are_rescued():
    batch, _ = running_batch()
    worker = FakeWorker()
    [held] = worker.claim(batch)
    worker.node.delete()
    repair.rescue_lost_workers()
    assert reload(held).status == TaskStatus.QUEUED


def test_dead_worker_is_presented_without_load():
    batch, _ = running_batch()
    worker = FakeWorker()
    worker.claim(batch)
    WorkerNode.objects.filter(name=worker.name).update(running=1, cpu_percent=50.0, memory_bytes=10**6)
    assert presenters.present_worker(worker.node)["running"] == 1
    worker.fall_silent()
    repair.rescue_lost_workers()
    shown = presenters.present_worker(worker.node)
    assert (shown["state"], shown["running"], shown["cpu_percent"], shown["memory_bytes"]) == ("dead", 0, 0.0, 0)


def test_draining_worker_keeps_its_tasks():
    batch, _ = running_batch()
    worker = FakeWorker()
    [held] = worker.claim(batch)
    assert beat(worker.name, state="draining")
    repair.rescue_lost_workers()
    assert reload(held).status == TaskStatus.RUNNING


def test_rescue_covers_all_batches_of_a_worker():
    one, _ = running_batch()
    two, _ = running_batch()
    worker = FakeWorker()
    assert len(worker.claim_tickets(*tickets_out(one, two))) == 2
    worker.fall_silent()
    repair.rescue_lost_workers()
    assert not BatchTask.objects.filter(status=TaskStatus.RUNNING).exists()
    assert len(tickets_out(one, two)) == 2


@pytest.mark.parametrize("retries", [0, 2])
def test_task_that_kills_its_workers_fails_after_its_retries(retries):
    batch, [poison, good] = running_batch(2, 2, max_retries=retries, max_concurrent=1)
    deaths = 0
    while reload(poison).status == TaskStatus.QUEUED:
        worker = FakeWorker()
        assert [task.number for task in worker.claim(batch, slots=1)] == [poison.number]
        worker.fall_silent()
        repair.rescue_lost_workers()
        deaths += 1
    assert deaths == retries + 1
    task = reload(poison)
    assert (task.status, task.error_kind, task.attempt) == ("failed", "worker_lost", retries + 1)
    assert TaskAttempt.objects.filter(task=poison).count() == retries + 1
    survivor = FakeWorker()
    survivor.complete(*survivor.claim(batch))
    assert reload(good).status == TaskStatus.COMPLETED


def test_rescue_cancels_a_task_with_a_cancel_request():
    batch, [task] = running_batch()
    worker = FakeWorker()
    worker.claim(batch)
    cancel(task)
    worker.fall_silent()
    repair.rescue_lost_workers()
    assert status_history(task) == ["queued", "running", "cancelled"]


def test_rescue_stops_a_stopping_batch():
    batch, _ = running_batch()
    worker = FakeWorker()
    worker.claim(batch)
    stop(batch)
    worker.fall_silent()
    repair.rescue_lost_workers()
    batch.refresh_from_db()
    assert (batch.state, tickets_out(batch)) == ("stopped", [])


def test_second_rescue_changes_nothing():
    batch, [task] = running_batch()
    worker = FakeWorker()
    worker.claim(batch)
    worker.fall_silent()
    repair.rescue_lost_workers()
    history = status_history(task)
    repair.rescue_lost_workers()
    assert status_history(task) == history


# --- lost tickets: with a real Valkey and real commits ---------------------------------------------------------


def _age_tickets(batch):
    """Set back the dispatch of the tickets, so that they count as lost if they are in no queue."""
    old = timedelta(seconds=settings.BATCH_TICKET_LIMIT + 1)
    for task in batch.tasks.filter(dispatched_at__isnull=False):
        batch.tasks.filter(pk=task.pk).update(dispatched_at=task.dispatched_at - old)


@pytest.mark.django_db(transaction=True)
def test_tickets_are_issued_on_the_queue_of_their_priority(valkey):
    running_batch(1, 2, 3, 3, 4)
    assert tickets.depth() == {"critical": 1, "high": 2, "medium": 1, "low": 1}


@pytest.mark.django_db(transaction=True)
def test_lost_tickets_are_issued_again(valkey):
    batch, tasks = running_batch(2, 3)
    names = tickets.waiting()
    assert names == {tickets.name_of(ticket_for(task)) for task in tasks}
    valkey.flushall()
    repair.repair()
    assert tickets.waiting() == set(), "a ticket that went out just now may be in the hands of a worker"
    _age_tickets(batch)
    repair.repair()
    assert tickets.waiting() == names


@pytest.mark.django_db(transaction=True)
def test_worker_reissues_lost_tickets_at_its_start(valkey):
    """After a restart of `up` it does not wait until tickets count as lost."""
    batch, _ = running_batch(2, 3)
    names = tickets.waiting()
    valkey.flushall()
    batch.tasks.update(dispatched_at=database_now() - timedelta(seconds=2))
    heartbeat = Heartbeat(FakeWorker().name, IdleListener())
    heartbeat.start()
    try:
        eventually(lambda: tickets.waiting() == names)
    finally:
        heartbeat.set_state(WorkerNode.State.STOPPED)
        heartbeat.join(60)


@pytest.mark.django_db(transaction=True)
def test_waiting_tickets_are_not_issued_again(valkey):
    batch, _ = running_batch(2, 2)
    _age_tickets(batch)
    repair.repair()
    assert tickets.depth()["medium"] == 2


@pytest.mark.django_db(transaction=True)
def test_only_lost_tickets_are_issued_again(valkey):
    batch, tasks = running_batch(2, 2)
    valkey.lpop(queue_key(2))
    _age_tickets(batch)
    repair.repair()
    waiting = valkey.lrange(queue_key(2), 0, -1)
    assert len(waiting) == 2
    assert waiting[-1].decode() == tickets.name_of(ticket_for(tasks[0]))


@pytest.mark.django_db(transaction=True)
def test_repair_fills_free_slots_without_tickets(valkey):
    """With free slots, queued tasks and no ticket out, nothing else would continue this batch."""
    batch, [task] = running_batch()
    batch.tasks.update(dispatched_at=None)
    valkey.flushall()
    repair.repair()
    assert tickets.waiting() == {tickets.name_of(ticket_for(task))}


@pytest.mark.django_db(transaction=True)
def test_tasks_added_without_redis_are_dispatched_when_it_is_back(surroundings, valkey):
    batch = make_batch()
    surroundings.stop_valkey()
    [task] = add_tasks(batch)
    start(batch)
    assert dispatch.delayed.get()
    repair.repair()
    surroundings.start_valkey()
    _age_tickets(batch)
    repair.repair()
    assert tickets.waiting() == {tickets.name_of(ticket_for(task))}


@pytest.mark.django_db(transaction=True)
def test_stop_and_cancel_withdraw_tickets(valkey):
    batch, [task, *_] = running_batch(2, 2, 2, max_concurrent=2)
    cancel(task)
    assert tickets.depth()["medium"] == 2
    stop(batch)
    assert tickets.waiting() == set()
    assert not valkey.keys("rq:job:*")
    start(batch)
    assert tickets.depth()["medium"] == 2
