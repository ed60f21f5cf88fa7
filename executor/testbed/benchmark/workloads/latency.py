"""Latency from the call to the start of a task: on an idle site, and behind a long queue."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid4

from executor.testbed.benchmark.page import watching
from executor.testbed.benchmark.session import api_client, execute, percentiles, write_line

PAUSE = 0.02  # seconds between two tasks
CRITICAL = 100  # critical tasks
SLOTS = 40  # of all workers
MIN_WAITING = 1_000  # low tasks, the work of a second or two
POLL_INTERVAL = 0.005  # seconds
# The function returns the time of its call.
NOW: dict[str, Any] = {"function": "moment", "start": True}


def latency(tasks: int, port: str, pid: str) -> dict:
    """Measure the action, and alternately the queue without the action."""
    batch_id = execute("add", **NOW)["batch_id"]
    calls = {"": lambda: execute("add", **NOW), "queue_": lambda: _add_to_queue(batch_id)}
    with watching(port, batch_id, stay=True):
        return _latencies(tasks, calls)


def http(tasks: int, port: str, pid: str) -> dict:
    """Measure the JSON API."""
    client = api_client(port)

    def add() -> dict:
        return client.post("/api/add", json=NOW).json()["data"]

    with watching(port, add()["batch_id"], stay=True):
        return _latencies(tasks, {"": add})


def critical(tasks: int, port: str, pid: str) -> dict:
    """Measure critical tasks behind very many low ones, which fill all slots for 30 to 70 ms each.

    Figures: from the call to the start of the function; from the first free slot to it; low tasks claimed in between.
    Low tasks of equal length would run in step, and the step would be measured.
    """
    low = {"function": "simulate", "params": {"duration": 0.05, "jitter": 0.02}, "priority": "low", "max_retries": 0}
    batch_id = execute("add_batch", tasks=[low] * tasks, name="behind")["batch_id"]
    with watching(port, batch_id, stay=True):
        execute("start", batch=batch_id, max_concurrent=SLOTS)
        figures = _measure_critical(batch_id)
        execute("stop", batch=batch_id, force=True)
    return {"tasks": tasks, **figures}


def _measure_critical(batch_id: str) -> dict:
    from executor.models import BatchStats, BatchTask

    waits: list[float] = []
    freed: list[float] = []
    overtaken = 0
    for number in range(1, CRITICAL + 1):
        time.sleep(0.2)
        if BatchStats.objects.get(batch_id=UUID(batch_id)).queued < MIN_WAITING:
            break
        called = time.time()
        row = _completed(execute("add", batch=batch_id, function=NOW["function"], priority="critical"))
        waits.append((row.result - called) * 1000)
        waiting = (row.created_at, row.started_at)
        others = BatchTask.objects.filter(batch_id=batch_id, priority=1)
        overtaken += others.filter(started_at__gt=waiting[0], started_at__lt=waiting[1]).count()
        ended = others.filter(completed_at__range=waiting).values_list("started_at", "execution_time")
        ends = [started + timedelta(seconds=spent) for started, spent in ended if started and spent is not None]
        free = min(ends, default=row.created_at)
        freed.append((row.result - max(free, row.created_at).timestamp()) * 1000)
        write_line(done=number, of=CRITICAL)
    if not waits:
        sys.exit(f"There must be more than {MIN_WAITING:,} tasks.")
    return {**percentiles(waits), **percentiles(freed, "after_free_"), "low_claimed_before_it": overtaken}


def _add_to_queue(batch_id: str) -> dict:
    """Add a valid task to the queue, as the action does."""
    from executor.domain.new_task import NewTask
    from executor.domain.task_item import TaskItem
    from executor.queue.dispatch import open_batches

    task = NewTask.of(uuid4(), TaskItem(function=NOW["function"]), "{}")
    batch = UUID(batch_id)
    with open_batches([batch]) as queue:
        queue.add(batch, [task])
        queue.start(batch)
    return {"task_id": str(task.task_id)}


def _latencies(tasks: int, calls: dict[str, Callable[[], dict]]) -> dict:
    """Measure each kind of call alternately, one at a time, from the call to its function and to the claim."""
    waits: dict[str, list[float]] = defaultdict(list)
    for number in range(1, tasks + 1):
        for kind, call in calls.items():
            called = time.time()
            row = _completed(call())
            waits[kind].append((row.result - called) * 1000)
            waits[f"{kind}claimed_"].append((row.started_at.timestamp() - called) * 1000)
            time.sleep(PAUSE)
        write_line(done=number, of=tasks)
    figures: dict[str, float] = {"tasks": tasks}
    for kind, milliseconds in waits.items():
        figures |= percentiles(milliseconds, kind)
    return figures


class _Completed(NamedTuple):
    result: float
    created_at: datetime
    started_at: datetime


def _completed(added: dict) -> _Completed:
    """Wait for the task and return its times; its result is the time of the call."""
    from executor.models import BatchTask

    deadline = time.monotonic() + 30
    time.sleep(POLL_INTERVAL)  # an immediate query would take a processor from the measured processes
    while (task := BatchTask.objects.get(pk=added["task_id"])).status != "completed":
        if time.monotonic() > deadline:
            sys.exit("A task did not complete within 30 s.")
        time.sleep(POLL_INTERVAL)
    return _Completed(cast(Any, task.result), task.created_at, cast(datetime, task.started_at))
