"""A batch with very many tasks: whether it runs as fast at its end as at its start, and how it is read then."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from executor.benchmark.session import NOTHING, agent, execute, run_batch, spread, tell

LOOKS = 200  # at each kind of page


def history(tasks: int, port: str, pid: str) -> dict:
    path: list[tuple[float, int]] = [(0.0, 0)]
    seconds = run_batch(
        port, NOTHING, tasks, 500, patience=3600, seen=lambda seconds, done: path.append((seconds, done))
    )
    batch_id = execute("status", batch="benchmark")["batch_id"]
    client, web = agent(port), psutil.Process(int(pid))
    status = _times(lambda number: client.get(f"/api/batches/{batch_id}"))
    results = _times(lambda number: client.get(f"/api/batches/{batch_id}/results", params=_page(number, tasks)))
    filtered = {"function": "simulate", "priority": "medium", "status": "completed", "limit": 100}
    listed = _times(lambda number: client.get(f"/api/batches/{batch_id}/tasks", params=filtered))
    rows, memory = {}, web.memory_info().rss
    for kind in ("jsonl", "csv"):
        started, lines = time.monotonic(), 0
        with client.stream("GET", f"/api/batches/{batch_id}/export", params={"format": kind}) as answer:
            for chunk in answer.iter_raw():
                lines += chunk.count(b"\n")
        rows[f"{kind}_rows_per_second"] = round(lines / (time.monotonic() - started))
    return {
        "tasks": tasks,
        "tasks_per_second": round(tasks / seconds),
        "last_to_first_percent": round(100 * _rate(path, 0.9, 1.0, tasks) / _rate(path, 0.0, 0.1, tasks), 1),
        **spread(status, "status_"),
        **spread(results, "results_"),
        **spread(listed, "list_"),
        **rows,
        "export_mb": round((web.memory_info().rss - memory) / 1e6, 1),
    }


def _page(number: int, tasks: int) -> dict:
    return {"limit": 100, "cursor": number * tasks // LOOKS} if number else {"limit": 100}


def _times(look: Callable[[int], object]) -> list[float]:
    """Milliseconds of each look, but for the first one: a server that was just started loads what it needs for it."""
    look(0)
    times = []
    for number in range(LOOKS):
        started = time.monotonic()
        look(number).raise_for_status()
        times.append((time.monotonic() - started) * 1000)
        tell(done=number, of=LOOKS)
    return times


def _rate(path: list[tuple[float, int]], start: float, end: float, tasks: int) -> float:
    """Tasks a second in that part of the way."""
    first = next(point for point in path if point[1] >= start * tasks)
    last = next(point for point in path if point[1] >= end * tasks)
    return (last[1] - first[1]) / max(0.001, last[0] - first[0])
