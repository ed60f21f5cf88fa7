"""The end of a worker: its tasks and its processes. Each test starts its own workers."""

import os
import signal
import time
from pathlib import Path

from executor.models import WorkerNode
from tests.process.conftest import FAST
from tests.support.batches import assert_consistent, is_alive, item, marks, processes_with, run, submit
from tests.support.waiting import eventually

GRACE = 4.0  # seconds


def start(worker, **more):
    return worker(env={**FAST, "BATCH_GRACE": str(GRACE), **more.pop("env", {})}, **more)


def everything_of(one) -> list[int]:
    return processes_with(f"TEST_WORKER={one.worker_name}")


def starts(mark: str) -> list:
    return [m for m in marks(Path(mark)) if m.word == "start"]


def test_sigterm_completes_short_tasks_and_releases_long_ones(worker, mark, tmp_path):
    one = start(worker)
    submit(item("sync_ok"), item("sync_ok")).wait()  # children are there
    opened = tmp_path / "opened"
    short, plain = (item(name, path=str(opened), mark=mark) for name in ("wait_for_file", "sync_wait_for_file"))
    long, stubborn = item("nap", seconds=60, max_retries=0), item("stubborn_nap", seconds=60, max_retries=0)
    batch = submit(short, plain, long, stubborn, *[item("nap", mark=mark) for _ in range(5)], max_concurrent=4)
    batch.wait_running(4)
    eventually(lambda: {m.number for m in starts(mark)} == {1, 2})
    began = time.monotonic()
    one.terminate(timeout=None)
    eventually(lambda: one.node().state == WorkerNode.State.DRAINING)
    opened.touch()
    assert one.process.wait(60) == 0, one.log
    assert time.monotonic() - began > GRACE * 0.9
    tasks = batch.tasks()
    assert [task["status"] for task in tasks] == ["completed"] * 2 + ["queued"] * 7
    assert [(task["attempt"], task["retry_count"]) for task in tasks[2:4]] == [(1, 0), (1, 0)]
    assert [batch.task(number)["attempts"][0]["outcome"] for number in (3, 4)] == ["released", "released"]
    assert not any(task["attempt"] for task in tasks[4:]), "a task was started after the signal"
    assert one.node().state == WorkerNode.State.STOPPED
    eventually(lambda: not everything_of(one), what="no process is left")
    assert_consistent(batch.id)


def test_released_task_runs_on_another_worker(worker):
    first = start(worker)
    batch = submit(item("nap", seconds=60, max_retries=0)).wait_running()
    other = start(worker)
    assert first.terminate() == 0
    batch.wait_running()
    assert [(task["worker"], task["attempt"]) for task in batch.tasks()] == [(other.worker_name, 2)]
    run("cancel", batch=batch.id)
    batch.wait()
    assert_consistent(batch.id)


def test_idle_worker_ends_without_grace_period(worker):
    one = start(worker, env={"BATCH_GRACE": "300"})
    assert one.terminate() == 0
    eventually(lambda: not everything_of(one))


def test_second_signal_releases_tasks_at_once(worker):
    one = start(worker, env={"BATCH_GRACE": "300"})
    submit(item("sync_ok")).wait()
    batch = submit(item("nap", seconds=60), item("sync_nap", seconds=60)).wait_running(2)
    one.terminate(timeout=None)
    eventually(lambda: one.node().state == WorkerNode.State.DRAINING)
    assert one.terminate() == 0
    assert batch.statuses() == ["queued", "queued"] and not any(task["retry_count"] for task in batch.tasks())
    eventually(lambda: not everything_of(one))
    assert_consistent(batch.id)


def test_signal_to_the_process_group_ends_the_worker_gracefully(worker, mark):
    """Ctrl-C in a terminal and systemd send such signals."""
    one = start(worker)
    batch = submit(item("sync_nap", seconds=0.6, mark=mark, max_retries=0))
    eventually(lambda: starts(mark))
    os.killpg(one.pid, signal.SIGTERM)
    assert one.process.wait(60) == 0
    assert batch.statuses() == ["completed"], batch.describe()


def test_signal_during_the_start_ends_the_worker_cleanly(worker):
    one = start(worker, wait=False)
    one.wait_until(lambda: "Listening on" in one.log, what="it begins to listen")
    assert one.terminate() == 0, one.log
    assert "Traceback" not in one.log, one.log


def test_killed_worker_leaves_no_process_and_its_tasks_are_rescued(worker, mark):
    first = start(worker)
    tasks = [item("nap", seconds=60), item("sync_nap", seconds=60, mark=mark, grandchild=True)]
    batch = submit(*tasks, item("nap", seconds=60, max_retries=0)).wait_running(3)
    grandchild = eventually(lambda: [m.pid for m in marks(Path(mark)) if m.word == "grandchild"])[0]
    assert len(everything_of(first)) >= 3  # itself, the server of its children, a child
    first.kill()
    eventually(lambda: not everything_of(first), what="no process of the dead worker is left")
    assert not is_alive(grandchild)
    second = start(worker)
    eventually(
        lambda: batch.counts()["running"] == 2 and batch.statuses()[2] == "failed", timeout=10, describe=batch.describe
    )
    task = batch.task(1)
    assert (task["worker"], task["attempt"], task["retry_count"]) == (second.worker_name, 2, 1)
    assert [(each["outcome"], each["error_kind"]) for each in task["attempts"]] == [("failed", "worker_lost")]
    assert first.worker_name in task["attempts"][0]["error"]
    assert (batch.task(3)["error_kind"], batch.task(3)["attempt"]) == ("worker_lost", 1)
    assert first.node().state == WorkerNode.State.DEAD
    run("cancel", batch=batch.id)
    assert_consistent(batch.wait().id)


def test_task_that_kills_its_worker_fails_after_its_retries(worker, mark):
    batch = submit(item("kills_its_worker", mark=mark, max_retries=1))
    other = submit(item("nap", seconds=0.1))
    workers = []
    for attempt in (1, 2):
        workers.append(start(worker, wait=False))
        eventually(lambda count=attempt: len(starts(mark)) == count)
    workers.append(start(worker))
    task = batch.wait().task()
    assert (task["status"], task["attempt"], task["error_kind"]) == ("failed", 2, "worker_lost")
    assert [each["worker"] for each in task["attempts"]] == [one.worker_name for one in workers[:2]]
    assert other.wait().statuses() == ["completed"]
    assert workers[2].alive and len(starts(mark)) == 2
    assert_consistent(batch.id)


def test_suspended_worker_resumes_under_a_new_name(worker, mark):
    sleeper = start(worker, concurrency=4)
    submit(item("sync_ok")).wait()
    batch = submit(item("nap", seconds=3.2, mark=mark), item("sync_nap", seconds=60, mark=mark)).wait_running(2)
    eventually(lambda: len(starts(mark)) == 2)
    children = [m.pid for m in starts(mark) if m.number == 2]
    sleeper.pause()
    other = start(worker)
    eventually(lambda: sleeper.node().state == WorkerNode.State.DEAD)
    eventually(
        lambda: [task["worker"] for task in batch.tasks()] == [other.worker_name] * 2,
        describe=batch.describe,
    )
    # Work for it to stumble into when it wakes under its old name; nothing of it may be charged.
    more = submit(*[item("nap", seconds=0.05, max_retries=0) for _ in range(40)], max_concurrent=2)
    sleeper.resume()
    eventually(lambda: not any(map(is_alive, children)), what="the child of the old claim is killed")
    eventually(lambda: batch.statuses() == ["completed", "running"])
    assert [(task["attempt"], task["worker"]) for task in batch.tasks()] == [(2, other.worker_name)] * 2
    run("cancel", batch=batch.id)
    assert {task["status"] for task in more.wait().tasks()} == {"completed"}, more.describe()
    other.terminate()
    # They end only if the worker has all of its slots again.
    after = submit(*[item("meet", mark=f"{mark}-again", count=4) for _ in range(4)], max_concurrent=4).wait()
    names = {task["worker"] for task in after.tasks()}
    assert len(names) == 1 and not names & {sleeper.worker_name, other.worker_name}
    for each in (batch, more, after):
        assert_consistent(each.wait().id)


def test_two_workers_share_a_batch(worker, mark):
    pair = [start(worker, concurrency=4), start(worker, concurrency=4)]
    batch = submit(*[item("nap", seconds=0.2, mark=mark) for _ in range(40)], max_concurrent=8).wait()
    assert {task["worker"] for task in batch.tasks()} == {one.worker_name for one in pair}
    assert len(starts(mark)) == 40
    assert_consistent(batch.id)


def test_worker_with_a_blocked_event_loop_ends_itself(worker, mark):
    first = start(worker)
    bad = submit(item("blocks", seconds=120, mark=mark, timeout=0.5, max_retries=0))
    eventually(lambda: starts(mark))
    neighbour = submit(item("nap", seconds=0.1))
    assert first.process.wait(60) == 1
    start(worker)
    assert bad.wait().task()["error_kind"] == "worker_lost"
    assert neighbour.wait().statuses() == ["completed"]
    for each in (bad, neighbour):
        assert_consistent(each.id)
