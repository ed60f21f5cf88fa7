"""Progress lines, actions, batches, HTTP and percentiles for workloads."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from uuid import UUID

import httpx
import orjson

from .page import watching

BATCH_TIMEOUT = 300.0  # seconds
POLL_INTERVAL = 0.5  # seconds; polling takes time from the measured processes
NOTHING = {"function": "simulate", "params": {"duration": 0}, "max_retries": 0}


def write_line(**line: object) -> None:
    """Write a line of JSON to the process that started this one."""
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


def execute(action: str, **arguments: object) -> dict:
    """Execute an action and return its data."""
    from executor.access import caller_of_shell
    from executor.actions import BatchExecutor

    return BatchExecutor(caller_of_shell()).execute(action, **arguments).data


def run_batch(
    port: str,
    item: dict,
    tasks: int,
    max_concurrent: int | None,
    timeout: float = BATCH_TIMEOUT,
    on_poll: Callable[[float, int], None] = lambda seconds, done: None,
) -> float:
    """Run a batch while a page watches it; return the seconds from its start to its end, by its own clock.

    `on_poll` is called with the seconds since the start and the number of completed tasks.
    """
    batch_id = execute("add_batch", tasks=[item] * min(tasks, 100_000), name="benchmark")["batch_id"]
    for added in range(100_000, tasks, 100_000):
        write_line(done=0, of=tasks)
        execute("add_batch", batch=batch_id, tasks=[item] * min(tasks - added, 100_000))
    with watching(port, batch_id):
        execute("start", batch=batch_id, **({"max_concurrent": max_concurrent} if max_concurrent else {}))
        return _wait_for_end(batch_id, tasks, timeout, on_poll)


def _wait_for_end(batch_id: str, tasks: int, timeout: float, on_poll: Callable[[float, int], None]) -> float:
    from executor.models import BatchStats

    started = time.monotonic()
    while time.monotonic() - started < timeout:
        stats = BatchStats.objects.get(batch_id=UUID(batch_id))
        write_line(done=stats.completed, of=tasks)
        on_poll(time.monotonic() - started, stats.completed)
        if stats.failed or stats.cancelled:
            sys.exit(f"{stats.failed + stats.cancelled} tasks did not complete.")
        if stats.start_time and stats.end_time:
            return (stats.end_time - stats.start_time).total_seconds()
        time.sleep(POLL_INTERVAL)
    sys.exit(f"The batch did not end within {timeout:g} s.")


def api_client(port: str) -> httpx.Client:
    """Return a client of the JSON API with a new token."""
    from executor.access import create_token

    token = create_token(f"benchmark {time.time_ns()}", ["submit", "read", "control"])[1]
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}, timeout=BATCH_TIMEOUT
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the p-th percentile by the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def percentiles(milliseconds: Sequence[float], name: str = "") -> dict[str, float]:
    """Return median and 99th percentile as figures, whose names begin with `name`."""
    return {
        f"{name}p50_ms": round(percentile(milliseconds, 50), 2),
        f"{name}p99_ms": round(percentile(milliseconds, 99), 2),
    }
