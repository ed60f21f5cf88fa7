"""Stop and cancel at every failpoint of a task: the worker is suspended there meanwhile."""

from pathlib import Path

import psutil
import pytest

from tests.faults.conftest import process_state, resume, wait_until_suspended
from tests.support.batches import assert_consistent, is_alive, item, marks, run, submit
from tests.support.waiting import eventually

# No suspended worker is declared dead here.
PATIENT = {"BATCH_HEARTBEAT_LIMIT": "60"}


@pytest.fixture
def sleeper(start):
    """Start a worker that suspends itself at these failpoints, each once."""

    def begin(*points: str):
        one = start(",".join(f"{point}=pause" for point in points), env=PATIENT, concurrency=2)
        eventually(lambda: one.node().info)  # it has written what it writes at its start
        return one

    return begin


def test_stop_between_ticket_and_claim_is_obeyed(sleeper, mark):
    one = sleeper("ticket-popped")
    batch = submit(item("nap", mark=mark), item("nap", mark=mark), max_concurrent=2)
    wait_until_suspended(one.pid)
    assert run("stop", batch=batch.id)["state"] == "stopped"
    resume(one.pid)
    other = submit(item("nap", seconds=0.05)).wait()  # the worker has seen to the ticket before this one
    assert not marks(Path(mark)) and batch.statuses() == ["queued"] * 2
    run("start", batch=batch.id)
    assert {task["attempt"] for task in batch.wait().tasks()} == {1}
    for each in (batch, other):
        assert_consistent(each.id)


@pytest.mark.parametrize("force", [False, True])
def test_stop_between_claim_and_start_completes_or_releases(sleeper, mark, force):
    one = sleeper("after-claim")
    batch = submit(*[item("nap", seconds=1.0, mark=mark) for _ in range(3)], max_concurrent=1)
    wait_until_suspended(one.pid)
    assert run("stop", batch=batch.id, force=force)["state"] == "stopping"
    resume(one.pid)
    batch.wait("stopped")
    tasks = batch.tasks()
    assert [task["status"] for task in tasks] == ["queued" if force else "completed", "queued", "queued"]
    assert [(task["attempt"], task["retry_count"]) for task in tasks] == [(1, 0), (0, 0), (0, 0)]
    assert_consistent(batch.id)


def test_repeated_stops_and_starts_charge_no_task(start):
    start()
    batch = submit(*[item("nap", seconds=0.02) for _ in range(60)], max_concurrent=4)
    for _ in range(100):
        run("stop", batch=batch.id)
        run("start", batch=batch.id)
    tasks = batch.wait().tasks()
    assert {(task["status"], task["attempt"]) for task in tasks} == {("completed", 1)}
    assert_consistent(batch.id)


# point → the task, and what a cancel that comes there leads to
CANCELS = {
    "ticket-popped": ("nap", "cancelled", 0),
    "after-claim": ("nap", "cancelled", 1),
    "child-started": ("sync_nap", "cancelled", 1),
    "before-finish": ("ok", "cancelled", 1),  # it has worked to its end, but the outcome is not recorded yet
    "after-finish": ("ok", "completed", 1),  # too late
}


@pytest.mark.parametrize("point", CANCELS)
def test_cancel_wins_until_the_outcome_is_committed(sleeper, point):
    function, status, attempt = CANCELS[point]
    one = sleeper(point)
    batch = submit(item(function, **({"seconds": 30} if "nap" in function else {})))
    wait_until_suspended(one.pid)
    answer = run("cancel", batch=batch.id)
    resume(one.pid)
    task = batch.wait().task()
    assert (task["status"], task["attempt"]) == (status, attempt)
    assert answer["cancelled"] + answer["cancelling"] == (status == "cancelled")
    assert submit(item("sync_ok")).wait().statuses() == ["completed"]
    assert one.alive
    assert_consistent(batch.id)


def test_cancel_kills_a_suspended_child(start):
    one = start("mid-work=pause", env=PATIENT)
    batch = submit(item("sync_nap", seconds=0.01)).wait_running()
    [child] = eventually(
        lambda: [each for each in psutil.Process(one.pid).children(recursive=True) if process_state(each.pid) == "T"]
    )
    assert run("cancel", batch=batch.id)["cancelling"] == 1
    batch.wait()
    eventually(lambda: not is_alive(child.pid))
    assert (batch.task()["status"], batch.task()["attempt"]) == ("cancelled", 1)
    assert_consistent(batch.id)


def test_rescue_carries_out_a_cancel_request(start):
    dead = start("after-claim=kill", wait=False)
    batch = submit(item("nap", seconds=30))
    assert dead.process.wait(60) == -9
    assert run("cancel", batch=batch.id)["cancelling"] == 1
    start(wait=False)
    batch.wait()
    assert (batch.task()["status"], batch.task()["attempt"]) == ("cancelled", 1)
    assert_consistent(batch.id)
