"""Death of a process at each failpoint of worker, adding and repair.

No task is lost, and an attempt is charged from its claim on.
"""

from pathlib import Path

import pytest

from executor.broker import tickets
from executor.db.dialect import database_now
from executor.domain.states import TaskStatus
from executor.models import Batch, BatchTask, TaskAttempt
from tests.faults.conftest import LIMIT, wait_until_killed
from tests.support.batches import assert_consistent, item, marks, submit
from tests.support.waiting import eventually

# point → the attempts of two tasks that run one after the other
POINTS = {
    "ticket-popped": (1, 1),
    "before-claim": (1, 1),
    "claim-uncommitted": (1, 1),
    "after-claim": (2, 1),
    "child-started": (2, 1),
    "before-finish": (2, 1),
    "finish-uncommitted": (2, 1),
    "after-finish": (1, 2),  # with the first one's outcome the second one was claimed
}


@pytest.mark.parametrize("point", POINTS)
def test_worker_killed_at_a_failpoint_loses_no_task(start, mark, point):
    batch = submit(*[item("sync_nap", seconds=0.01, mark=mark) for _ in range(2)], max_concurrent=1)
    wait_until_killed(start(f"{point}=kill", wait=False))
    start(wait=False)
    tasks = batch.wait().tasks()
    assert tuple(task["attempt"] for task in tasks) == POINTS[point]
    assert [task["retry_count"] for task in tasks] == [attempts - 1 for attempts in POINTS[point]]
    kinds = TaskAttempt.objects.filter(task__batch_id=batch.id).values_list("error_kind", flat=True)
    assert set(kinds) <= {"worker_lost"}
    # Each attempt ran once at most, and the completed one did.
    began = [(m.number, m.attempt) for m in marks(Path(mark)) if m.word == "start"]
    assert len(began) == len(set(began)) and set(enumerate(POINTS[point], 1)) <= set(began)
    assert_consistent(batch.id)


def test_killed_child_fails_its_task_and_the_worker_lives(start):
    one = start("mid-work=kill")
    batch = submit(item("sync_ok", max_retries=1))
    task = batch.wait().task()
    # Each new child is killed at its first call: a task that does that to its child itself has no other end.
    assert (task["status"], task["attempt"], task["error_kind"]) == ("failed", 2, "process_died")
    took = TaskAttempt.objects.get(task_id=task["task_id"], number=2)
    assert (took.ended_at - took.started_at).total_seconds() < 10.0 and "signal 9" in took.error
    assert one.alive
    assert_consistent(batch.id)


# --- others that may die ----------------------------------------------------------------------------------


def test_call_killed_before_its_commit_stores_nothing(script):
    done = script("submit(*[item('ok')] * 50)", at="add-uncommitted=kill")
    assert done.returncode == -9, done.stderr
    assert not Batch.objects.exists() and not BatchTask.objects.exists()


def test_tickets_of_a_killed_call_are_issued_by_repair(script, start):
    done = script("submit(*[item('ok')] * 5)", at="before-push=kill")
    assert done.returncode == -9, done.stderr
    batch = Batch.objects.get()
    assert batch.tasks.filter(dispatched_at__isnull=False).exists()
    assert not tickets.waiting()
    start(wait=False)
    eventually(lambda: batch.tasks.filter(status=TaskStatus.COMPLETED).count() == 5)
    assert set(batch.tasks.values_list("attempt", flat=True)) == {1}
    assert_consistent(str(batch.pk))


def test_killed_repair_charges_nothing_and_the_next_one_charges_once(start, script):
    batch = submit(item("nap", seconds=0.01))
    dead = start("after-claim=kill", wait=False)
    wait_until_killed(dead)
    eventually(lambda: (database_now() - dead.node().heartbeat_at).total_seconds() > LIMIT)
    done = script("from executor.queue import repair; repair.repair()", at="mid-repair=kill")
    assert done.returncode == -9, done.stderr
    assert batch.statuses() == ["running"] and not TaskAttempt.objects.exists()
    start(wait=False)
    [task] = batch.wait().tasks()
    assert (task["attempt"], task["retry_count"]) == (2, 1)
    assert_consistent(batch.id)


def test_concurrent_repairs_charge_each_attempt_once(start, script):
    """Four loops of repair in one process, besides that of the living worker."""
    batch = submit(*[item("nap", seconds=0.05) for _ in range(8)], max_concurrent=4)
    wait_until_killed(start("after-claim=kill", wait=False))
    heir = start(wait=False)
    code = """
import threading, time
from django.db import connection
from executor.queue import repair
def loop():
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        repair.repair()
    connection.close()
loops = [threading.Thread(target=loop) for _ in range(4)]
[each.start() for each in loops]
[each.join() for each in loops]
"""
    done = script(code)
    assert done.returncode == 0, done.stderr
    tasks = batch.wait().tasks()
    lost = TaskAttempt.objects.filter(task__batch_id=batch.id)
    assert {task["retry_count"] for task in tasks} == {0, 1}
    assert set(lost.values_list("error_kind", flat=True)) == {"worker_lost"}
    assert lost.count() == sum(task["retry_count"] for task in tasks) <= 4
    assert heir.alive
    assert_consistent(batch.id)
