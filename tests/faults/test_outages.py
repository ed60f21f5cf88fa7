"""The database is unavailable for longer than the heartbeat limit, or its clock steps: live workers stay."""

from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction

from executor.db.dialect import database_now
from executor.db.statements import is_postgresql
from executor.models import WorkerNode
from executor.worker.heartbeat import Heartbeat
from executor.worker.liveness import beat
from tests.factories import FakeWorker, IdleListener, TravelClock, reload, running_batch
from tests.faults.conftest import LIMIT
from tests.support.batches import assert_consistent, item, submit
from tests.support.waiting import eventually


def last_heartbeat() -> datetime:
    """Return the time of the last heartbeat of any worker."""
    return WorkerNode.objects.latest("heartbeat_at").heartbeat_at


def test_workers_do_not_declare_each_other_dead_after_an_outage(start):
    """F8. The first worker to reach the database finds all others silent for longer than the limit."""
    for _ in range(2):
        start(concurrency=3, wait=False)
    batch = submit(*[item("nap", seconds=LIMIT + 4, max_retries=0) for _ in range(6)], max_concurrent=6)
    batch.wait_running(6)
    with transaction.atomic():
        if is_postgresql():
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE executor_workernode IN ACCESS EXCLUSIVE MODE")
        eventually(lambda: database_now() - last_heartbeat() > timedelta(seconds=LIMIT + 1))
    tasks = batch.wait().tasks()
    assert {(task["status"], task["attempt"]) for task in tasks} == {("completed", 1)}, batch.describe()
    assert_consistent(batch.id)


@pytest.fixture
def clock(settings) -> TravelClock:
    """Return a clock that the test moves. A worker is dead after 20 seconds of silence."""
    settings.BATCH_HEARTBEAT, settings.BATCH_HEARTBEAT_LIMIT = 5, 20
    return TravelClock()


@pytest.fixture
def heartbeat(clock) -> Heartbeat:
    """Return the heartbeat of a worker, not started: the test runs its rounds."""
    return Heartbeat(FakeWorker().name, IdleListener(), clock=clock)


def one_round(heartbeat: Heartbeat) -> None:
    heartbeat.send()
    heartbeat.repair()


@pytest.fixture
def lost():
    """Return the task of a worker whose heartbeats have stopped."""
    [task] = FakeWorker().claim(running_batch()[0])
    return task


@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.django_db
def test_step_of_the_database_clock_causes_no_false_rescue(clock, heartbeat, hours):
    """F11."""
    well, dead = FakeWorker(), FakeWorker()
    [mine], [lost] = (worker.claim(running_batch()[0]) for worker in (well, dead))
    one_round(heartbeat)
    clock.stepped = hours * 3600.0
    one_round(heartbeat)
    assert (reload(mine).status, reload(lost).status) == ("running", "running")
    for seconds in range(0, 25, 5):
        clock.passed = float(seconds)
        beat(well.name, clock)
        one_round(heartbeat)
    assert reload(lost).status == "queued"
    assert reload(mine).status == "running" and dead.node.state == "dead"


@pytest.mark.django_db
@pytest.mark.parametrize("had_beaten", [True, False], ids=["later", "before its first heartbeat"])
def test_after_an_outage_silence_counts_from_its_end(clock, lost, heartbeat, had_beaten):
    """F8. The others need a moment for their next heartbeat."""
    if had_beaten:
        one_round(heartbeat)
    for seconds in (60.0, 69.0, 75.0, 79.0):  # the database was unavailable for a minute
        clock.passed = seconds
        one_round(heartbeat)
        assert reload(lost).status == "running", seconds
    clock.passed = 81.0
    one_round(heartbeat)
    assert reload(lost).status == "queued"


@pytest.mark.django_db
def test_worker_started_after_an_outage_grants_a_grace_period(clock, lost):
    clock.passed = 60.0
    newcomer = Heartbeat(FakeWorker().name, IdleListener(), grace=5, clock=clock)
    one_round(newcomer)
    assert reload(lost).status == "running"
    clock.passed = 66.0
    one_round(newcomer)
    assert reload(lost).status == "queued"


@pytest.mark.django_db
@pytest.mark.parametrize("every", [22, 25, 28, 34])
def test_dead_worker_is_found_despite_repeated_stalls(clock, lost, heartbeat, every):
    for second in range(0, 120):
        if not second or second % every >= 11:  # it stalls for eleven seconds at the beginning of each period
            clock.passed = float(second)
            one_round(heartbeat)
    assert reload(lost).status == "queued"
