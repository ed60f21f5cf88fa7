"""Rates of batches, from their start to their end."""

import os
from statistics import median

from executor.testbed.benchmark.memory import PeakMemory, worker_pids
from executor.testbed.benchmark.session import BATCH_TIMEOUT, NOTHING, run_batch

BUSY = 0.01  # processor seconds of each task of `plain`


def noop(tasks: int, port: str, pid: str, max_concurrent: int | None = 500) -> dict:
    seconds = run_batch(port, NOTHING, tasks, max_concurrent, timeout=BATCH_TIMEOUT + tasks / 1000)
    return {"tasks": tasks, "seconds": round(seconds, 3), "tasks_per_second": round(tasks / seconds, 1)}


def growth(tasks: int, port: str, pid: str) -> dict:
    """Measure batches of 100, 1,000, … tasks; of the short ones the median of several runs."""
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
    """Run tasks of one second, all concurrently."""
    seconds = run_batch(port, {"function": "simulate", "params": {"duration": 1}, "max_retries": 0}, tasks, tasks)
    return {"tasks": tasks, "seconds": round(seconds, 3)}


def crowd(tasks: int, port: str, pid: str) -> dict:
    """Run very many tasks of one second; measure the peak memory of their worker."""
    with PeakMemory(worker_pids()) as memory:
        result = sleep(tasks, port, pid)
    return {**result, "worker_mb": round(memory.most / 1e6)}


def plain(tasks: int, port: str, pid: str) -> dict:
    """Measure the share of all processors that plain functions use; a first batch starts the child processes."""
    item = {"function": "compute", "params": {"seconds": BUSY}, "max_retries": 0}
    run_batch(port, item, 100, 100)
    seconds = run_batch(port, item, tasks, tasks)
    used = tasks * BUSY / (seconds * (os.cpu_count() or 1))
    return {"tasks": tasks, "used_percent": round(100 * used, 1), "seconds": round(seconds, 3)}
