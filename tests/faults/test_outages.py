"""The database is away for longer than a heartbeat's limit, or its clock takes a step: nobody is taken for dead."""

import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from executor import dispatch
from executor.driver import is_postgresql
from executor.sql import database_now
from executor.worker import heartbeat
from executor.worker.heartbeat import Heartbeat
from tests.factories import FakeWorker, now_of, running_batch
from tests.faults.conftest import LIMIT
from tests.support.batches import assert_true_to_itself, item, submit
from tests.support.waiting import eventually


def test_workers_that_could_not_be_heard_do_not_take_each_other_for_dead(start):
    """F8. As after any pause of the database: whoever comes first finds all others silent for too long."""
    for _ in range(2):
        start(concurrency=3, wait=False)
    batch = submit(*[item("nap", seconds=LIMIT + 4, max_retries=0) for _ in range(6)], max_concurrent=6)
    batch.wait_running(6, timeout=20)
    with transaction.atomic():
        if is_postgresql():
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE executor_workernode IN ACCESS EXCLUSIVE MODE")
        held = time.monotonic()
        eventually(lambda: time.monotonic() - held > LIMIT + 1)
    tasks = batch.wait(timeout=20).tasks()
    assert {(task["status"], task["attempt"]) for task in tasks} == {("completed", 1)}, batch.told()
    assert_true_to_itself(batch.id)


@pytest.fixture
def pulse():
    """A worker's heartbeat, played by hand."""
    worker = FakeWorker()
    return Heartbeat(worker.name, running=dict, stop=lambda *_: None, lost=lambda: None)


def one_round(pulse: Heartbeat) -> None:
    pulse._beat()
    dispatch.repair(rescue=pulse._may_judge())


@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.django_db
def test_a_step_of_the_clock_rescues_nobody_and_the_dead_are_still_found(pulse, monkeypatch, settings, hours):
    """F11."""
    settings.BATCH_HEARTBEAT, settings.BATCH_HEARTBEAT_LIMIT = 0.1, 0.4
    well, dead = FakeWorker(), FakeWorker()
    [mine], [lost] = (worker.take(running_batch()[0]) for worker in (well, dead))
    one_round(pulse)
    stepped = lambda: database_now() + timedelta(hours=hours)  # noqa: E731
    for module in (heartbeat, dispatch):
        monkeypatch.setattr(module, "database_now", stepped)
    one_round(pulse)
    assert (now_of(mine).status, now_of(lost).status) == ("running", "running")
    began = time.monotonic()

    def one_more_round() -> bool:
        heartbeat.beat(well.name)
        one_round(pulse)
        return now_of(lost).status == "queued"

    eventually(one_more_round, timeout=5)
    assert time.monotonic() - began > 0.1
    assert now_of(mine).status == "running" and dead.node.state == "dead"


@pytest.mark.django_db
def test_after_an_outage_silence_counts_from_when_somebody_could_be_heard(pulse, monkeypatch, settings):
    """F8. A busy machine takes its time: who was not heard of at once is not dead."""
    settings.BATCH_HEARTBEAT_LIMIT = 20
    passed = 0.0
    real = time.monotonic
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: real() + passed))
    for module in (heartbeat, dispatch):
        monkeypatch.setattr(module, "database_now", lambda: database_now() + timedelta(seconds=passed))
    silent = FakeWorker()
    [task] = silent.take(running_batch()[0])
    one_round(pulse)
    for passed in (60.0, 69.0, 75.0, 79.0):  # the database was away for a minute
        one_round(pulse)
        assert now_of(task).status == "running", passed
    passed = 81.0
    one_round(pulse)
    assert now_of(task).status == "queued"
