"""What every workload needs: to say how far it is, to call actions, to run a batch to its end, and to speak HTTP."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import httpx
import orjson

from .page import watching

PATIENCE = 300.0  # seconds for one batch
LOOK = 0.5  # seconds between looks at how far it is, which cost time of those that are measured
NOTHING = {"function": "simulate", "params": {"duration": 0}, "max_retries": 0}


def tell(**line) -> None:
    """A line for whoever drives this process."""
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


def execute(action: str, **arguments) -> dict:
    from executor.access import caller_of_shell
    from executor.actions import BatchExecutor

    return BatchExecutor(caller_of_shell()).execute(action, **arguments).data


def run_batch(
    port: str,
    item: dict,
    tasks: int,
    max_concurrent: int | None,
    patience: float = PATIENCE,
    seen: Callable[[float, int], None] = lambda seconds, done: None,
) -> float:
    """Seconds from the start of a batch to its end, by the batch's own clock, while a page watches it; `seen` hears how
    far it is now and then, with the seconds since its start."""
    batch_id = execute("add_batch", tasks=[item] * min(tasks, 100_000), name="benchmark")["batch_id"]
    for added in range(100_000, tasks, 100_000):
        tell(done=0, of=tasks)
        execute("add_batch", batch=batch_id, tasks=[item] * min(tasks - added, 100_000))
    with watching(port, batch_id):
        execute("start", batch=batch_id, **({"max_concurrent": max_concurrent} if max_concurrent else {}))
        return _until_over(batch_id, tasks, patience, seen)


def _until_over(batch_id: str, tasks: int, patience: float, seen: Callable[[float, int], None]) -> float:
    from executor.models import BatchStats

    started = time.monotonic()
    while time.monotonic() - started < patience:
        stats = BatchStats.objects.get(pk=batch_id)
        tell(done=stats.completed, of=tasks)
        seen(time.monotonic() - started, stats.completed)
        if stats.failed or stats.cancelled:
            sys.exit(f"{stats.failed + stats.cancelled} tasks did not complete")
        if stats.end_time:
            return (stats.end_time - stats.start_time).total_seconds()
        time.sleep(LOOK)
    sys.exit(f"the batch did not end within {patience:g} s")


def agent(port: str) -> httpx.Client:
    """A client of the JSON API with a token of its own."""
    from executor.access import create_token

    token = create_token(f"benchmark {time.time_ns()}", ["submit", "read", "control"])[1]
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(milliseconds: Sequence[float], name: str = "") -> dict[str, float]:
    """Median and 99th percentile, as results name them."""
    return {
        f"{name}p50_ms": round(percentile(milliseconds, 50), 2),
        f"{name}p99_ms": round(percentile(milliseconds, 99), 2),
    }
