"""How long a task waits for its start, with nothing else to do and behind a long queue."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

from executor.testbed.benchmark.page import watching
from executor.testbed.benchmark.session import agent, execute, spread, tell

PAUSE = 0.02  # seconds between two tasks
CRITICAL = 100  # tasks that overtake
SLOTS = 40  # of all workers
ENOUGH = 1_000  # low tasks that must be waiting for that, which is a second or two
LOOK = 0.005  # seconds between looks whether a task is over
# Its function gives back when it was called.
NOW = {"function": "moment", "start": True}


def latency(tasks: int, port: str, pid: str) -> dict:
    """Of the action, and in turn of the queue alone."""
    batch_id = execute("add", **NOW)["batch_id"]
    calls = {"": lambda: execute("add", **NOW), "queue_": lambda: _queue(batch_id)}
    with watching(port, batch_id, stay=True):
        return _waits(tasks, calls)


def http(tasks: int, port: str, pid: str) -> dict:
    """Of the JSON API."""
    client = agent(port)

    def add() -> dict:
        return client.post("/api/add", json=NOW).json()["data"]

    with watching(port, add()["batch_id"], stay=True):
        return _waits(tasks, {"": add})


def critical(tasks: int, port: str, pid: str) -> dict:
    """From the call until the function is called of a critical task, in a batch with very many low ones which fill all
    slots for 30 to 70 ms each; the same from when a slot was free for it; how many low ones were claimed after it was
    there.

    Were all of the same length, they would run in step, and what is measured were the step.
    """
    low = {"function": "simulate", "params": {"duration": 0.05, "jitter": 0.02}, "priority": "low", "max_retries": 0}
    batch_id = execute("add_batch", tasks=[low] * tasks, name="behind")["batch_id"]
    with watching(port, batch_id, stay=True):
        execute("start", batch=batch_id, max_concurrent=SLOTS)
        figures = _overtakes(batch_id)
        execute("stop", batch=batch_id, force=True)
    return {"tasks": tasks, **figures}


def _overtakes(batch_id: str) -> dict:
    from executor.models import BatchStats, BatchTask

    waits, freed, overtaken = [], [], 0
    for number in range(1, CRITICAL + 1):
        time.sleep(0.2)
        if BatchStats.objects.get(pk=batch_id).queued < ENOUGH:
            break
        called = time.time()
        row = _ended(execute("add", batch=batch_id, function=NOW["function"], priority="critical"))
        waits.append((row.result - called) * 1000)
        meanwhile = (row.created_at, row.started_at)
        others = BatchTask.objects.filter(batch_id=batch_id, priority=1)
        overtaken += others.filter(started_at__gt=meanwhile[0], started_at__lt=meanwhile[1]).count()
        ended = others.filter(completed_at__range=meanwhile).values_list("started_at", "execution_time")
        free = min((started + timedelta(seconds=spent) for started, spent in ended), default=row.created_at)
        freed.append((row.result - max(free, row.created_at).timestamp()) * 1000)
        tell(done=number, of=CRITICAL)
    if not waits:
        sys.exit(f"there must be more than {ENOUGH:,} tasks")
    return {**spread(waits), **spread(freed, "after_free_"), "low_claimed_before_it": overtaken}


def _queue(batch_id: str) -> dict:
    """Hand a task that was checked before to the queue, as the action does."""
    from executor.domain.messages import NewTask
    from executor.queue.dispatch import open_batches

    task = NewTask(task_id=uuid4().hex, function=NOW["function"], params="{}")
    with open_batches([batch_id]) as queue:
        queue.add(batch_id, [task])
        queue.start(batch_id)
    return {"task_id": task.task_id}


def _waits(tasks: int, calls: dict[str, Callable[[], dict]]) -> dict:
    """How long it takes from a call until its task's function is called, and, as `claimed`, until the worker has the
    task: each kind of call so often, in turn, one at a time."""
    waits: dict[str, list[float]] = defaultdict(list)
    for number in range(1, tasks + 1):
        for kind, call in calls.items():
            called = time.time()
            row = _ended(call())
            waits[kind].append((row.result - called) * 1000)
            waits[f"{kind}claimed_"].append((row.started_at.timestamp() - called) * 1000)
            time.sleep(PAUSE)
        tell(done=number, of=tasks)
    figures = {"tasks": tasks}
    for kind, milliseconds in waits.items():
        figures |= spread(milliseconds, kind)
    return figures


def _ended(added: dict):
    from executor.models import BatchTask

    deadline = time.monotonic() + 30
    time.sleep(LOOK)  # a look at once would take a processor from what is measured
    while (row := BatchTask.objects.get(pk=added["task_id"])).status != "completed":
        if time.monotonic() > deadline:
            sys.exit("a task did not complete within 30 s")
        time.sleep(LOOK)
    return row
