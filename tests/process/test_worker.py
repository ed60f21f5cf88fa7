"""A worker and its tasks: outcomes, limits, cancel, stop, hostile functions."""

import time
from pathlib import Path

import psutil
import pytest

from executor.db.dialect import database_now
from executor.models import BatchTask, WorkerNode
from tests.support.batches import assert_consistent, is_alive, item, marks, most_at_once, run, submit
from tests.support.waiting import eventually

REACTION_LIMIT = 10.0  # seconds until a cancel takes effect; usually less than one, much longer on a busy machine


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """In this module the database is not emptied after each test: the worker needs its row."""


@pytest.fixture(scope="module")
def _workers(start_worker):
    return [start_worker(concurrency=20)]


@pytest.fixture(autouse=True)
def steady(transactional_db, _workers, start_worker):
    """Return the worker of this module, which survives every task."""
    if not _workers[-1].alive:
        _workers.append(start_worker(concurrency=20))
    yield _workers[-1]
    assert _workers[-1].alive, _workers[-1].log[-4000:]


# --- usage -----------------------------------------------------------------------------


def test_usage_includes_child_processes(steady):
    """Shared memory is counted once."""
    batch = submit(*[item("busy", seconds=60)] * 6, max_concurrent=6)
    process, node = psutil.Process(steady.pid), WorkerNode.objects.filter(pid=steady.pid, state="active")
    try:
        eventually(lambda: len(process.children(recursive=True)) >= 6 + len(["fork server", "resource tracker"]))
        eventually(lambda: node.get().cpu_percent > 10)
        own, reported = process.memory_info().rss, node.get().memory_bytes
        children = sum(child.memory_info().rss for child in process.children(recursive=True))
        assert own <= reported < own + children / 2
    finally:
        run("stop", batch=batch.id, force=True)


# --- running --------------------------------------------------------------------------------------------


def test_async_and_plain_functions_return_results():
    batch = submit(
        item("ok", value="a"), item("sync_ok", value="b"), item("custom_function", function="ok", params={"value": "c"})
    )
    first, second, third = batch.wait().tasks()
    assert (first["result"], second["result"]["value"], third["result"]) == ("a", "b", "c")
    assert {task["attempt"] for task in (first, second, third)} == {1}
    assert all(task["error"] is None and task["execution_time"] >= 0 for task in (first, second, third))
    assert_consistent(batch.id)


def test_plain_functions_run_in_another_process(steady):
    batch = submit(item("sync_ok")).wait()
    assert batch.tasks()[0]["result"]["pid"] != steady.pid


def test_many_tasks_run_at_once(mark):
    batch = submit(*[item("meet", mark=mark, count=20) for _ in range(20)], max_concurrent=20).wait()
    assert set(batch.statuses()) == {"completed"}
    assert_consistent(batch.id)


def test_calls_never_exceed_max_concurrent(mark):
    plain = [item("sync_nap", seconds=0.05, mark=mark) for _ in range(15)]
    batch = submit(*[item("nap", seconds=0.05, mark=mark) for _ in range(25)], *plain, max_concurrent=3).wait()
    assert most_at_once(marks(Path(mark))) <= 3
    assert_consistent(batch.id)


def test_critical_task_starts_with_the_next_free_slot(mark):
    low = [item("nap", seconds=0.3, mark=mark, priority="low") for _ in range(12)]
    batch = submit(*low, max_concurrent=2)
    eventually(lambda: len(marks(Path(mark))) >= 2)
    run("add", function="nap", params={"mark": mark}, priority="critical", batch=batch.id)
    before = [m.number for m in marks(Path(mark)) if m.word == "start"]
    batch.wait()
    after = [m.number for m in marks(Path(mark)) if m.word == "start"][len(before) :]
    assert 13 in after[:2], (before, after)  # a claim may have been under way when it came
    assert_consistent(batch.id)


def test_tasks_start_by_priority_and_then_by_number(mark):
    order = ["low", "medium", "critical", "high", "critical", "low", "high"]
    submit(*[item("nap", seconds=0.01, mark=mark, priority=each) for each in order], max_concurrent=1).wait()
    assert [m.number for m in marks(Path(mark)) if m.word == "start"] == [3, 5, 4, 7, 2, 1, 6]


def test_task_with_run_at_does_not_start_before_it():
    run_at = time.time() + 1
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(run_at)) + f".{int(run_at % 1 * 1e6):06}Z"
    batch = submit(item("ok", run_at=stamp), item("ok")).wait()
    assert batch.tasks()[0]["started_at"] >= stamp > batch.tasks()[1]["started_at"]


# --- ends that are no success ---------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["raises", "sync_raises"])
def test_failing_function_has_exactly_its_retries(function):
    batch = submit(item(function, message="it broke", max_retries=2)).wait()
    task = batch.task()
    assert (task["status"], task["attempt"], task["retry_count"]) == ("failed", 3, 2)
    assert (task["error"], task["error_kind"]) == ("ValueError: it broke", "ValueError")
    assert [(each["number"], each["outcome"]) for each in task["attempts"]] == [
        (1, "failed"),
        (2, "failed"),
        (3, "failed"),
    ]
    assert all(f"in {function}" in each["traceback"] for each in task["attempts"])
    assert_consistent(batch.id)


def test_task_completes_after_two_failures_and_keeps_them():
    batch = submit(item("simulate", duration=0, fail_times=2, max_retries=3)).wait()
    task = batch.task()
    assert (task["status"], task["attempt"], task["retry_count"], task["error"]) == ("completed", 3, 2, None)
    assert [each["outcome"] for each in task["attempts"]] == ["failed", "failed"]
    assert batch.status()["stats"]["retries"] == 2


@pytest.mark.parametrize("function", ["nap", "sync_nap", "stubborn_nap"])
def test_attempt_ends_at_its_timeout(function, mark):
    batch = submit(item(function, seconds=60, mark=mark, timeout=0.5, max_retries=1)).wait()
    task = batch.task()
    assert (task["status"], task["attempt"], task["error_kind"]) == ("failed", 2, "timeout")
    assert "0.5 s" in task["error"] and 0.49 < task["execution_time"] < REACTION_LIMIT
    if function != "nap":
        for each in marks(Path(mark)):
            eventually(lambda pid=each.pid: not is_alive(pid))
    assert_consistent(batch.id)


def test_killed_child_is_replaced(mark):
    batch = submit(
        *[item("stubborn_nap", seconds=60, timeout=0.3, max_retries=0) for _ in range(4)],
        *[item("sync_ok") for _ in range(20)],
        max_concurrent=4,
    ).wait()
    assert batch.statuses() == ["failed"] * 4 + ["completed"] * 20


def test_timeout_kills_grandchildren(mark):
    batch = submit(item("sync_nap", seconds=60, mark=mark, grandchild=True, timeout=4, max_retries=0)).wait()
    grandchild = next(m.pid for m in marks(Path(mark)) if m.word == "grandchild")
    eventually(lambda: not is_alive(grandchild))
    assert batch.statuses() == ["failed"]


@pytest.mark.parametrize("function", ["nap", "sync_nap", "stubborn_nap"])
def test_cancel_ends_a_running_task(function, mark):
    batch = submit(item(function, seconds=60, mark=mark)).wait_running()
    pid = eventually(lambda: marks(Path(mark)))[0].pid
    requested = database_now()
    assert run("cancel", batch=batch.id)["cancelling"] == 1
    batch.wait()
    if function != "nap":
        eventually(lambda: not is_alive(pid))
    completed_at = BatchTask.objects.get(pk=batch.task_ids[0]).completed_at
    assert (completed_at - requested).total_seconds() < REACTION_LIMIT
    task = batch.task()
    assert (task["status"], task["error_kind"], task["attempt"]) == ("cancelled", "cancelled", 1)
    assert [each["outcome"] for each in task["attempts"]] == ["cancelled"]
    assert_consistent(batch.id)


def test_cancelled_task_can_be_retried(mark):
    batch = submit(item("nap", seconds=60, mark=mark)).wait_running()
    run("cancel", batch=batch.id)
    batch.wait()
    assert run("retry", batch=batch.id)["retried"] == 1
    batch.wait_running()
    run("cancel", batch=batch.id)
    batch.wait()
    assert [each["number"] for each in batch.task()["attempts"]] == [1, 2]
    assert_consistent(batch.id)


def test_function_that_ignores_its_cancellation_is_abandoned(steady, mark):
    batch = submit(item("deaf", seconds=60)).wait_running()
    run("cancel", batch=batch.id)
    batch.wait()
    assert batch.statuses() == ["cancelled"]
    after = submit(*[item("meet", mark=mark, count=20) for _ in range(20)], max_concurrent=20).wait()
    assert set(after.statuses()) == {"completed"}


# --- hostile functions ----------------------------------------------------------------------------------

CAUSES = {
    "exit": "exit code 7",
    "exit_0": "ended",
    "segfault": "signal 11",
    "kill": "signal 9",
    "parent": "ended",
    "group": "signal 9",
    "close_line": "ended",
    "garbage": "",
}


@pytest.mark.parametrize("how", CAUSES)
def test_function_that_ends_its_process_fails_with_the_cause(how, mark):
    batch = submit(item("dies", how=how, mark=mark, max_retries=1)).wait()
    task = batch.task()
    assert (task["status"], task["attempt"], task["error_kind"]) == ("failed", 2, "process_died"), task["error"]
    assert CAUSES[how] in task["error"]
    assert len(marks(Path(mark))) == 2
    assert submit(item("sync_ok")).wait().statuses() == ["completed"]  # the worker goes on
    assert_consistent(batch.id)


@pytest.mark.parametrize("function", ["raises_odd", "sync_raises_odd"])
@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("base_exception", "Odd"),
        ("generator_exit", "GeneratorExit"),
        ("recursion", "RecursionError"),
        ("unprintable", "Unprintable"),
        ("surrogate", "ValueError"),
        ("long", "ValueError"),
        ("system_exit", None),
        ("keyboard_interrupt", None),
        ("cancelled_error", None),
        ("message_is_a_dict", "task_failed"),
        ("message_has_a_surrogate", "task_failed"),
        ("details_are_no_json", "task_failed"),
        ("not_retryable", "task_failed"),
    ],
)
def test_any_exception_becomes_a_failure_with_its_message(function, what, kind):
    batch = submit(item(function, what=what, max_retries=0)).wait()
    task = batch.task()
    assert (task["status"], task["attempt"]) == ("failed", 1)
    assert task["error"] and len(task["error"]) < 10_000
    assert kind is None or task["error_kind"] == kind, task["error"]
    assert_consistent(batch.id)


@pytest.mark.parametrize("function", ["raises_odd", "sync_raises_odd"])
@pytest.mark.parametrize("what", ["is_a_word", "is_infinite", "is_nan", "is_huge", "is_negative"])
def test_invalid_retry_after_does_not_affect_other_tasks(function, what, steady):
    bystander = submit(item("nap", seconds=0.5))
    batch = submit(item(function, what=f"retry_after_{what}", max_retries=1, retry_delay=0)).wait_retried()
    run("cancel", batch=batch.id)
    assert bystander.wait().tasks()[0]["attempt"] == 1
    assert_consistent(batch.wait().id)


@pytest.mark.parametrize("function", ["gives", "sync_gives"])
@pytest.mark.parametrize("what", ["nan", "surrogate", "surrogate_key", "nul", "big_integer", "set"])
def test_unusual_result_is_stored(function, what):
    batch = submit(item(function, what=what, max_retries=0)).wait()
    task = batch.task()
    assert task["status"] == "completed", task["error"]
    kept = {"nan": [None, None], "nul": "a\x00b", "set": [1], "surrogate": "half a \\ud83d face"}
    if what in kept:
        assert task["result"] == kept[what]
    assert_consistent(batch.id)


@pytest.mark.parametrize("function", ["gives", "sync_gives"])
@pytest.mark.parametrize("what", ["object", "cyclic", "deep", "bytes", "generator"])
def test_result_that_is_not_json_fails_the_task(function, what):
    batch = submit(item(function, what=what, max_retries=0)).wait()
    task = batch.task()
    assert (task["status"], task["error_kind"]) == ("failed", "bad_result")
    assert "JSON" in task["error"]


@pytest.mark.parametrize("function", ["gives", "sync_gives"])
def test_large_result_becomes_an_artifact(function):
    batch = submit(item(function, what="huge")).wait()
    note = batch.tasks()[0]["result"]["$artifact"]
    assert note["size"] == 3_000_002 and note["head"].startswith('"xxx') and len(note["head"]) < 10_000


def test_blocked_event_loop_does_not_lose_the_worker(steady):
    batch = submit(item("blocks", seconds=4, max_retries=0), item("nap", seconds=0.1)).wait()
    assert [task["attempt"] for task in batch.tasks()] == [1, 1]  # 4 s are more than the heartbeat limit
    assert batch.statuses()[1] == "completed"


# --- stop -----------------------------------------------------------------------------------------------


def test_stop_lets_running_tasks_end_and_starts_no_others(mark, tmp_path):
    opened = tmp_path / "opened"
    tasks = [item("wait_for_file", path=str(opened), mark=mark) for _ in range(10)]
    batch = submit(*tasks, max_concurrent=2).wait_running(2)
    eventually(lambda: len(marks(Path(mark))) == 2)
    assert run("stop", batch=batch.id)["state"] == "stopping"
    opened.touch()
    batch.wait("stopped")
    assert len([m for m in marks(Path(mark)) if m.word == "start"]) == 2
    assert batch.counts() == {"queued": 8, "running": 0, "completed": 2, "failed": 0, "cancelled": 0}
    run("start", batch=batch.id, max_concurrent=8)
    assert {task["attempt"] for task in batch.wait().tasks()} == {1}
    assert_consistent(batch.id)


def test_forced_stop_kills_and_releases_uncharged(mark):
    batch = submit(
        *[item(name, seconds=60, mark=mark, max_retries=0) for name in ("nap", "sync_nap", "stubborn_nap")]
    ).wait_running(3)
    pids = eventually(lambda: len(marks(Path(mark))) == 3 and [m.pid for m in marks(Path(mark))][:3])
    run("stop", batch=batch.id, force=True)
    batch.wait("stopped")
    assert batch.statuses() == ["queued"] * 3
    assert [(task["attempt"], task["retry_count"]) for task in batch.tasks()] == [(1, 0)] * 3
    assert [batch.task(number)["attempts"][0]["outcome"] for number in (1, 2, 3)] == ["released"] * 3
    plain = {m.pid for m in marks(Path(mark)) if m.number > 1} & set(pids)
    eventually(lambda: not any(map(is_alive, plain)))
    run("cancel", batch=batch.id)
    assert_consistent(batch.wait().id)


# --- afterwards -----------------------------------------------------------------------------------------


def test_worker_has_all_slots_and_no_stray_child_at_the_end(steady, mark):
    """The last test: after all others of the module."""
    batch = submit(*[item("meet", mark=mark, count=20) for _ in range(20)], max_concurrent=20).wait()
    assert {task["worker"] for task in batch.tasks()} == {steady.worker_name}, "the worker was taken for dead"
    eventually(lambda: (node := steady.node()).state == "active" and not node.running)
    # 20 children, the server that they are forked from, and its resource tracker
    assert len(psutil.Process(steady.pid).children(recursive=True)) <= 22
