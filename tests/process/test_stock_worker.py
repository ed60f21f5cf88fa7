"""One contract for every kind of worker: BatchWorker, and RQ's own two."""

import sys
import zlib
from pathlib import Path

import pytest

from tests.process.conftest import FAST
from tests.process.test_faults import Bomb, json_call, pickle, push
from tests.support.batches import assert_consistent, is_alive, item, marks, run, submit
from tests.support.processes import QUEUES, RunningProcess
from tests.support.waiting import eventually

KINDS = {
    "BatchWorker": "executor.worker.batch_worker.BatchWorker",
    "SimpleWorker": "rq.worker.SimpleWorker",
    "Worker": "rq.worker.Worker",
}


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """Not emptied after each test."""


@pytest.fixture(scope="module", params=KINDS)
def _kind(request, module_db, _valkey_server, surroundings, tmp_path_factory):
    argv = [sys.executable, "manage.py", "rqworker", *QUEUES, "--worker-class", KINDS[request.param]]
    env = {**surroundings.environment, **FAST, "BATCH_CONCURRENCY": "4"}
    one = RunningProcess("stock", argv, env=env, folder=tmp_path_factory.mktemp("stock"))
    one.wait_until(lambda: "Listening on" in one.log, what="it listens")
    yield one
    one.end()


@pytest.fixture(autouse=True)
def kind(transactional_db, _kind):
    yield _kind
    assert _kind.alive, _kind.log[-3000:]


def test_worker_runs_both_kinds_of_function():
    batch = submit(*[item(("ok", "sync_ok")[n % 2], priority=("low", "critical")[n % 2]) for n in range(6)])
    tasks = batch.wait().tasks()
    assert {(task["status"], task["attempt"]) for task in tasks} == {("completed", 1)}
    assert_consistent(batch.id)


def test_failure_is_retried_and_then_final():
    batch = submit(item("raises", max_retries=1), item("simulate", duration=0, fail_times=1))
    first, second = batch.wait().tasks()
    assert (first["status"], first["attempt"], first["error"]) == ("failed", 2, "ValueError: it broke")
    assert (second["status"], second["attempt"]) == ("completed", 2)
    assert_consistent(batch.id)


@pytest.mark.parametrize("function", ["nap", "sync_nap"])
def test_attempt_ends_at_its_timeout(function):
    batch = submit(item(function, seconds=60, timeout=0.5, max_retries=0)).wait()
    task = batch.task()
    assert (task["status"], task["error_kind"]) == ("failed", "timeout") and task["execution_time"] < 3


def test_cancel_ends_a_running_task(mark):
    batch = submit(item("sync_nap", seconds=60, mark=mark)).wait_running()
    pid = eventually(lambda: marks(Path(mark)))[0].pid
    run("cancel", batch=batch.id)
    assert batch.wait().statuses() == ["cancelled"]
    eventually(lambda: not is_alive(pid))
    assert_consistent(batch.id)


def test_function_that_ends_its_process_fails():
    batch = submit(item("dies", how="exit", max_retries=0)).wait()
    assert (batch.task()["error_kind"], batch.statuses()) == ("process_died", ["failed"])


def test_stale_tickets_and_foreign_jobs_are_not_run(valkey, tmp_path, mark):
    bait = tmp_path / "bait"
    push(valkey, "json", data=json_call("os.system", f"touch {bait}"))
    push(valkey, "json-2", data=json_call("executor.broker.tickets.import_attribute", "os.system"))
    push(valkey, "pickle", data=zlib.compress(pickle.dumps(Bomb(f"touch {bait}"))))
    push(
        valkey,
        "callback",
        data=json_call("executor.worker.single.run_ticket", "0" * 32, 1, "0" * 32),
        success_callback_name="os.system",
        failure_callback_name="os.system",
    )
    batch = submit(item("nap", seconds=0.1, mark=mark), item("ok", priority="low"))
    batch.wait()
    task_id, batch_id = batch.task_ids[0].replace("-", ""), batch.id.replace("-", "")
    push(valkey, f"{task_id}-1-{batch_id}", data=json_call("executor.worker.single.run_ticket", task_id, 1, batch_id))
    submit(item("ok", priority="low")).wait()
    assert not bait.exists()
    assert len([m for m in marks(Path(mark)) if m.word == "start"]) == 1
    assert_consistent(batch.id)
