"""How many tasks a second, from the start of their batch to its end."""

import os
from statistics import median

from executor.testbed.benchmark.memory import Peak, workers
from executor.testbed.benchmark.session import NOTHING, PATIENCE, run_batch

BUSY = 0.01  # seconds of computing for each task of `plain`


def noop(tasks: int, port: str, pid: str, max_concurrent: int | None = 500) -> dict:
    seconds = run_batch(port, NOTHING, tasks, max_concurrent, patience=PATIENCE + tasks / 1000)
    return {"tasks": tasks, "seconds": round(seconds, 3), "tasks_per_second": round(tasks / seconds, 1)}


def growth(tasks: int, port: str, pid: str) -> dict:
    """Batches of a hundred tasks and of ten times as many, up to so many. Short ones depend on their moment: of those
    the rate in the middle of some."""
    rates: dict[str, float] = {}
    count = min(100, tasks)
    while count <= tasks:
        repeat = 1 if count > 10_000 else 7
        rates[str(count)] = median(noop(count, port, pid)["tasks_per_second"] for _ in range(repeat))
        count *= 10
    return {"tasks": tasks, "tasks_per_second": [*rates.values()][-1], "rates": rates}


def noop5(tasks: int, port: str, pid: str) -> dict:
    return noop(tasks, port, pid, None)  # the default


def sleep(tasks: int, port: str, pid: str) -> dict:
    """Tasks of one second, all of them at once."""
    seconds = run_batch(port, {"function": "simulate", "params": {"duration": 1}, "max_retries": 0}, tasks, tasks)
    return {"tasks": tasks, "seconds": round(seconds, 3)}


def crowd(tasks: int, port: str, pid: str) -> dict:
    """Very many of them, and the most memory that their worker uses."""
    with Peak(workers()) as memory:
        result = sleep(tasks, port, pid)
    return {**result, "worker_mb": round(memory.most / 1e6)}


def plain(tasks: int, port: str, pid: str) -> dict:
    """Plain functions that compute, in child processes which a first batch has started; what part of all processors
    does their work."""
    item = {"function": "compute", "params": {"seconds": BUSY}, "max_retries": 0}
    run_batch(port, item, 100, 100)
    seconds = run_batch(port, item, tasks, tasks)
    used = tasks * BUSY / (seconds * (os.cpu_count() or 1))
    return {"tasks": tasks, "used_percent": round(100 * used, 1), "seconds": round(seconds, 3)}
