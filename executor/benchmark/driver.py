"""One workload, driven from a process of its own: `python -m executor.benchmark.driver NAME TASKS [WEB_PORT WEB_PID]`.

Each line of its output is JSON: {"done": n, "of": n} while it goes on, {"result": {...}} in the end.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import threading
import time
from datetime import UTC, datetime

import orjson

PATIENCE = 300.0  # seconds for one batch
NOTHING = {"function": "simulate", "params": {"duration": 0}, "max_retries": 0}


def tell(**line) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


def execute(action: str, **arguments) -> dict:
    from executor.access import caller_of_shell
    from executor.actions import BatchExecutor

    return BatchExecutor(caller_of_shell()).execute(action, **arguments).data


def run_batch(item: dict, tasks: int, max_concurrent: int | None) -> float:
    """Seconds from the start of a batch to its end, by the batch's own clock."""
    from executor.models import BatchStats

    batch_id = execute("add_batch", tasks=[item] * tasks, name="benchmark")["batch_id"]
    execute("start", batch=batch_id, **({"max_concurrent": max_concurrent} if max_concurrent else {}))
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stats = BatchStats.objects.get(pk=batch_id)
        tell(done=stats.completed, of=tasks)
        if stats.failed or stats.cancelled:
            sys.exit(f"{stats.failed + stats.cancelled} tasks did not complete")
        if stats.end_time:
            return (stats.end_time - stats.start_time).total_seconds()
        time.sleep(0.1)
    sys.exit(f"the batch did not end within {PATIENCE:g} s")


def noop(tasks: int, max_concurrent: int | None = 500) -> dict:
    seconds = run_batch(NOTHING, tasks, max_concurrent)
    return {"tasks": tasks, "seconds": round(seconds, 3), "tasks_per_second": round(tasks / seconds, 1)}


def noop5(tasks: int) -> dict:
    return noop(tasks, None)  # the default


def sleep(tasks: int) -> dict:
    seconds = run_batch({"function": "simulate", "params": {"duration": 1}, "max_retries": 0}, tasks, tasks)
    return {"tasks": tasks, "seconds": round(seconds, 3)}


def latency(tasks: int) -> dict:
    """From the call until the worker's claim, with nothing else to do."""
    from executor.models import BatchTask

    waits = []
    for number in range(1, tasks + 1):
        called = datetime.now(UTC)
        task_id = execute("add", function="simulate", params={"duration": 0}, start=True)["task_id"]
        deadline = time.monotonic() + 30
        while (row := BatchTask.objects.get(pk=task_id)).status != "completed":
            if time.monotonic() > deadline:
                sys.exit("a task did not complete within 30 s")
            time.sleep(0.005)
        waits.append((row.started_at - called).total_seconds() * 1000)
        tell(done=number, of=tasks)
        time.sleep(0.02)
    waits.sort()
    p99 = waits[min(len(waits) - 1, int(len(waits) * 0.99))]
    return {"tasks": tasks, "p50_ms": round(statistics.median(waits), 1), "p99_ms": round(p99, 1)}


def add(tasks: int, port: str, pid: str) -> dict:
    """One call with all tasks; how long it takes, and how much memory the web process needs for it."""
    import httpx
    import psutil

    from executor.access import create_token

    web = psutil.Process(int(pid))
    token = create_token(f"benchmark {time.time_ns()}", ["submit", "read"])[1]
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE
    )
    client.post("/api/add_batch", json={"tasks": [NOTHING]}).raise_for_status()  # everything is loaded after this
    body = orjson.dumps(
        {"name": "benchmark", "tasks": [{**NOTHING, "custom_id": f"row-{number}"} for number in range(tasks)]}
    )
    idle = peak = web.memory_info().rss
    ended = threading.Event()

    def look() -> None:
        nonlocal peak
        while not ended.wait(0.01):
            peak = max(peak, web.memory_info().rss)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    tell(done=0, of=tasks)
    started = time.monotonic()
    answer = client.post("/api/add_batch", content=body, headers={"Content-Type": "application/json"})
    seconds = time.monotonic() - started
    ended.set()
    looking.join()
    if answer.status_code != 200 or answer.json()["data"]["count"] != tasks:
        sys.exit(f"the API answered {answer.status_code}: {answer.text[:300]}")
    tell(done=tasks, of=tasks)
    megabytes = {"idle_mb": round(idle / 1e6, 1), "peak_over_idle_mb": round((peak - idle) / 1e6, 1)}
    return {"tasks": tasks, "seconds": round(seconds, 3), "body_mb": round(len(body) / 1e6, 1), **megabytes}


def sandbox(tasks: int) -> dict:
    """What the walls cost a program, by the median of each."""
    from executor.sandbox import server
    from executor.sandbox.cost import cost

    try:
        found = asyncio.run(cost(tasks, tell=lambda done: tell(done=done, of=tasks)))
    finally:
        server.stop()
    plain, contained = found["plain"], found["sandboxed"]
    return {
        "tasks": tasks,
        "more_ms": found["more"],
        "plain_ms": plain,
        "contained_ms": contained,
        "by": found["launcher"],
    }


WORK = {"noop": noop, "noop5": noop5, "sleep": sleep, "latency": latency, "add": add, "sandbox": sandbox}


def wait_for_workers(count: int) -> None:
    from executor.models import WorkerNode

    deadline = time.monotonic() + 60
    while WorkerNode.objects.filter(state=WorkerNode.State.ACTIVE).count() < count:
        if time.monotonic() > deadline:
            sys.exit("the workers did not come up")
        time.sleep(0.05)


def main(name: str, tasks: str, *rest: str) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    django.setup()
    from executor.benchmark.plan import WORKLOADS

    wait_for_workers(WORKLOADS[name].workers)
    tell(result=WORK[name](int(tasks), *rest))


if __name__ == "__main__":
    main(*sys.argv[1:])
