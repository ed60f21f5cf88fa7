"""Valkey is flushed, stopped or filled with foreign entries while tasks run: tasks are delayed, none is lost."""

import json
import pickle
import zlib
from pathlib import Path
from uuid import UUID

import pytest
from django.db import transaction
from rq import Worker
from rq.suspension import resume, suspend

from executor.broker import tickets
from executor.models import BatchStats
from tests.support.batches import assert_consistent, item, marks, run, submit
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def transactional_db(module_db):
    """Not emptied after each test: the worker needs its row."""


@pytest.fixture(scope="module")
def _one(start_worker):
    return start_worker(concurrency=4)


@pytest.fixture(autouse=True)
def one(transactional_db, _one):
    """Return the worker of this module, which outlives every fault of Valkey."""
    yield _one
    assert _one.alive, _one.log[-4000:]
    assert "Traceback" not in _one.log, _one.log[-4000:]


def starts(mark: str) -> list:
    return [m for m in marks(Path(mark)) if m.word == "start"]


# --- gone -----------------------------------------------------------------------------------------------


def test_flush_during_a_run_loses_no_task(valkey, mark):
    batch = submit(*[item("nap", seconds=0.1, mark=mark) for _ in range(60)], max_concurrent=10)
    for count in (5, 20, 40):
        eventually(lambda count=count: len(starts(mark)) >= count)
        valkey.flushall()
    tasks = batch.wait().tasks()
    assert {(task["status"], task["attempt"]) for task in tasks} == {("completed", 1)}
    assert len(starts(mark)) == 60
    assert_consistent(batch.id)


def test_flushed_tickets_are_issued_again(valkey, tmp_path):
    opened = tmp_path / "opened"
    busy = submit(*[item("wait_for_file", path=str(opened)) for _ in range(4)]).wait_running(4)  # all slots
    batch = submit(*[item("ok") for _ in range(5)])
    eventually(lambda: sum(tickets.depth().values()) >= 1)
    valkey.flushall()
    opened.touch()
    busy.wait()
    batch.wait()
    assert_consistent(batch.id)


def test_tasks_are_added_and_recorded_while_valkey_is_down(surroundings, mark):
    batch = submit(*[item("nap", seconds=0.5, mark=mark) for _ in range(12)], max_concurrent=4)
    eventually(lambda: len(starts(mark)) >= 4)
    surroundings.stop_valkey()
    try:
        late = submit(item("ok"), item("sync_ok"))
        assert late.status()["state"] == "running"
        # Those that ran are recorded, and the worker goes on with the batch as far as it can without tickets.
        eventually(lambda: batch.counts()["completed"] >= 4, describe=batch.describe)
    finally:
        surroundings.start_valkey()
    assert {task["attempt"] for task in batch.wait().tasks()} == {1}
    assert late.wait().statuses() == ["completed"] * 2
    assert len(starts(mark)) == 12
    for each in (batch, late):
        assert_consistent(each.id)


def test_answer_reports_a_delayed_dispatch_while_valkey_is_down(surroundings):
    surroundings.stop_valkey()
    try:
        data = run("add_batch", tasks=[item("ok")], start=True)
    finally:
        surroundings.start_valkey()
    assert data["dispatch"] == "delayed"
    eventually(lambda: run("status", batch=data["batch_id"])["state"] == "finished")


# --- foreign --------------------------------------------------------------------------------------------


def push(valkey, name: str, queue: str = "high", **fields) -> None:
    """Push a name onto a queue, with the job of another program if fields are given."""
    if fields:
        valkey.hset(
            f"rq:job:{name}", mapping={"created_at": "2026-01-01T00:00:00.000000Z", "status": "queued", **fields}
        )
    valkey.sadd("rq:queues", f"rq:queue:{queue}")
    valkey.rpush(f"rq:queue:{queue}", name)


def json_call(function: str, *arguments) -> bytes:
    return zlib.compress(json.dumps([function, None, arguments, {}]).encode())


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


TASK, BATCH = "0" * 31 + "1", "0" * 31 + "2"
NAMES = [
    "0f0f0f0f-0000-0000-0000-000000000001",
    "",
    "\xff\xfe",
    "a" * 100_000,
    f"{TASK}-1-{BATCH}",  # well-formed, of nothing that exists
    f"{TASK}-²-{BATCH}",  # a digit to str.isdigit and to nothing else
    f"{TASK}-{'9' * 30}-{BATCH}",
    f"{'z' * 32}-1-{'z' * 32}",
    f"{TASK}-1-{'é' * 32}",
    f"{TASK[:-1]}'-1-{BATCH}",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_invalid_name_in_a_queue_is_dropped(valkey, name):
    push(valkey, name)
    batch = submit(item("ok", priority="low"))  # behind it
    assert batch.wait().statuses() == ["completed"]
    assert not valkey.llen("rq:queue:high")


def test_foreign_jobs_are_not_run(valkey, tmp_path):
    bait = tmp_path / "bait"
    push(valkey, "json", data=json_call("os.system", f"touch {bait}"))
    push(valkey, "pickle", data=zlib.compress(pickle.dumps(Bomb(f"touch {bait}"))))
    push(valkey, f"{TASK}-1-{BATCH}", data=zlib.compress(pickle.dumps(Bomb(f"touch {bait}"))))
    batch = submit(item("ok", priority="low"))
    batch.wait()
    assert not bait.exists()


def test_queue_key_of_the_wrong_type_does_not_end_the_worker(valkey, one):
    valkey.set("rq:queue:critical", "not a list")
    batch = submit(item("ok", priority="low"))
    eventually(lambda: "WRONGTYPE" in one.log)
    valkey.delete("rq:queue:critical")
    assert batch.wait().statuses() == ["completed"]


def test_duplicate_tickets_start_nothing_twice(valkey, mark):
    batch = submit(*[item("nap", seconds=0.2, mark=mark) for _ in range(8)], max_concurrent=4)
    names = [
        tickets.name_of(tickets.Ticket(UUID(task_id), attempt, UUID(batch.id)))
        for task_id in batch.task_ids
        for attempt in (1, 2)
    ]
    valkey.rpush("rq:queue:critical", *(names * 625))
    tasks = batch.wait().tasks()
    assert {(task["status"], task["attempt"]) for task in tasks} == {("completed", 1)}
    assert len(starts(mark)) == 8
    assert_consistent(batch.id)


# --- suspended ------------------------------------------------------------------------------------------


def test_suspended_worker_starts_no_tasks_until_it_is_resumed(valkey, one, mark):
    batch = submit(*[item("nap", seconds=0.2, mark=mark) for _ in range(300)], max_concurrent=2)
    eventually(lambda: len(starts(mark)) >= 2)
    suspend(valkey)

    def is_idle() -> bool:
        count = len(starts(mark))
        one.wait_for_heartbeat()
        return len(starts(mark)) == count and not batch.counts()["running"]

    eventually(is_idle)
    count = len(starts(mark))
    assert count < 300
    resume(valkey)
    eventually(lambda: len(starts(mark)) > count)
    run("cancel", batch=batch.id)
    assert set(batch.wait().statuses()) == {"completed", "cancelled"}
    assert_consistent(batch.id)


def test_rq_lists_the_worker_again_after_a_flush(valkey, one):
    """The fixture `valkey` has just flushed it."""
    names = lambda: [each.name for each in Worker.all(connection=valkey)]  # noqa: E731
    eventually(lambda: one.worker_name in names(), what="RQ lists the worker")


# --- the database ---------------------------------------------------------------------------------------


def test_locked_database_loses_no_task(mark):
    batch = submit(*[item("nap", seconds=0.2, mark=mark) for _ in range(8)], max_concurrent=4)
    eventually(lambda: starts(mark))
    with transaction.atomic():  # of SQLite the only writer
        list(BatchStats.objects.select_for_update())
        # All that were claimed have ended, and their outcomes wait for the database.
        eventually(lambda: len(marks(Path(mark))) == 2 * len(starts(mark)) or None)
    assert {task["attempt"] for task in batch.wait().tasks()} == {1}
    assert_consistent(batch.id)
