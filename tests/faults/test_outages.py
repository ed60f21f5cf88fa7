"""The database is away for longer than a heartbeat's limit, or its clock takes a step: nobody is taken for dead."""

import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from executor.db.dialect import database_now
from executor.db.statements import is_postgresql
from executor.queue import dispatch
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


@pytest.fixture
def clock(monkeypatch, settings):
    """`clock(seconds)`: so much later, for the database too. A worker is dead after 20 seconds of silence."""
    settings.BATCH_HEARTBEAT, settings.BATCH_HEARTBEAT_LIMIT = 5, 20
    real, passed = time.monotonic, [0.0]
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: real() + passed[0]))
    for module in (heartbeat, dispatch):
        monkeypatch.setattr(module, "database_now", lambda: database_now() + timedelta(seconds=passed[0]))
    return lambda seconds: passed.__setitem__(0, seconds)


@pytest.fixture
def lost():
    """The task of a worker that is not heard of any more."""
    [task] = FakeWorker().take(running_batch()[0])
    return task


@pytest.mark.django_db
@pytest.mark.parametrize("was_heard", [True, False], ids=["later", "before its first heartbeat"])
def test_after_an_outage_silence_counts_from_when_somebody_could_be_heard(clock, lost, pulse, was_heard):
    """F8. A busy machine takes its time: who was not heard of at once is not dead."""
    if was_heard:
        one_round(pulse)
    for seconds in (60.0, 69.0, 75.0, 79.0):  # the database was away for a minute
        clock(seconds)
        one_round(pulse)
        assert now_of(lost).status == "running", seconds
    clock(81.0)
    one_round(pulse)
    assert now_of(lost).status == "queued"


@pytest.mark.django_db
def test_who_begins_after_an_outage_gives_the_others_a_moment(clock, lost):
    clock(60.0)
    newcomer = Heartbeat(FakeWorker().name, dict, lambda *_: None, lambda: None, patience=5)
    one_round(newcomer)
    assert now_of(lost).status == "running"
    clock(66.0)
    one_round(newcomer)
    assert now_of(lost).status == "queued"


@pytest.mark.django_db
@pytest.mark.parametrize("every", [22, 25, 28, 34])
def test_a_database_that_stalls_again_and_again_does_not_save_the_dead(clock, lost, pulse, every):
    for second in range(0, 120):
        if not second or second % every >= 11:  # it stalls for eleven seconds at the beginning of each turn
            clock(float(second))
            one_round(pulse)
    assert now_of(lost).status == "queued"
