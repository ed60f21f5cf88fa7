"""A batch with very many tasks: its rate at the end against its start, and the latency of reading it."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import httpx
import orjson

from executor.testbed.benchmark.memory import PeakMemory, resident, worker_pids
from executor.testbed.benchmark.session import NOTHING, api_client, execute, percentiles, run_batch, write_line

REQUESTS = 200  # of each kind
MAX_DURATION = 20.0  # seconds for them


def history(tasks: int, port: str, pid: str) -> dict:
    """Run the batch, then read lists, pages and exports of it."""
    memory: list[tuple[int, int]] = []  # completed tasks, bytes of the web server and the workers
    processes = [int(pid), *worker_pids()]

    def sample(_: float, done: int) -> None:
        memory.append((done, resident(processes)))

    seconds = run_batch(port, NOTHING, tasks, 500, timeout=3600, on_poll=sample)
    batch_id = execute("status", batch="benchmark")["batch_id"]
    client = api_client(port)
    read = {
        "status_": _latencies(lambda _: client.get(f"/api/batches/{batch_id}")),
        "results_": _latencies(
            lambda number: client.get(f"/api/batches/{batch_id}/results", params=_page(number, tasks))
        ),
    }
    listed = f"/api/batches/{batch_id}/tasks"
    for name, filters in _FILTERS.items():
        of_few = {**filters, "limit": 100}

        def listing(_: int, params: dict = of_few) -> httpx.Response:
            return client.get(listed, params=params)

        read[f"list_{name}_"] = _latencies(listing)
    read["search_"] = _latencies(lambda number: client.get(listed, params={**_TEXT, **_page(number, tasks)}))
    searched = _search_seconds(client, listed)
    rows = {}
    with PeakMemory([int(pid)]) as exporting:
        for kind in ("jsonl", "csv"):
            started, lines = time.monotonic(), 0
            with client.stream("GET", f"/api/batches/{batch_id}/export", params={"format": kind}) as answer:
                for chunk in answer.iter_raw():
                    lines += chunk.count(b"\n")
            rows[f"{kind}_rows_per_second"] = round(lines / (time.monotonic() - started))
    figures: dict[str, float] = {}
    for name, milliseconds in read.items():
        figures |= percentiles(milliseconds, name)
    return {
        "tasks": tasks,
        "tasks_per_second": round(tasks / seconds),
        "last_to_first_percent": _last_to_first(batch_id, tasks),
        "more_mb_from_a_tenth_on": _growth(memory, tasks),
        **figures,
        "search_through_all_s": searched,
        **rows,
        "export_mb": exporting.growth_mb,
    }


# All tasks match the first, none the others.
_FILTERS = {
    "all": {"function": "simulate", "priority": "medium", "status": "completed"},
    "status": {"status": "failed"},
    "priority": {"priority": "critical"},
    "function": {"function": "moment"},
    "statuses": {"status": "failed,cancelled"},
    "both": {"function": "moment", "status": "completed"},
}
_TEXT = {"q": "nowhere"}


def _page(number: int, tasks: int) -> dict:
    return {"limit": 100, "cursor": number * tasks // REQUESTS} if number else {"limit": 100}


def _search_seconds(client: httpx.Client, listed: str) -> float:
    """Return the seconds of a search through all tasks for a text that none has."""
    started, cursor = time.monotonic(), None
    while True:
        answer = client.get(listed, params={**_TEXT, **({"cursor": cursor} if cursor else {})}).json()
        if not (cursor := answer["next_cursor"]):
            return round(time.monotonic() - started, 2)


def _latencies(request: Callable[[int], httpx.Response]) -> list[float]:
    """Return the milliseconds of each request but the first, with which a new server loads modules."""
    request(0).raise_for_status()
    times: list[float] = []
    while len(times) < REQUESTS and sum(times) < MAX_DURATION * 1000:
        started = time.monotonic()
        request(len(times)).raise_for_status()
        times.append((time.monotonic() - started) * 1000)
        write_line(done=len(times), of=REQUESTS)
    return times


def _last_to_first(batch_id: str, tasks: int) -> float:
    """Return the rate in the last tenth of all tasks in percent of the rate in the first, by the batch's log."""
    from executor.models import BatchFrame

    frames = BatchFrame.objects.filter(batch_id=UUID(batch_id)).order_by("seq").values_list("at", "counts")
    path = [(at, orjson.loads(counts)["completed"]) for at, counts in frames.iterator()]

    def rate(start: float, end: float) -> float:
        first = [point for point in path if point[1] <= start * tasks][-1]
        last = next(point for point in path if point[1] >= end * tasks)
        return (last[1] - first[1]) / max(0.001, (last[0] - first[0]).total_seconds())

    return round(100 * rate(0.9, 1.0) / rate(0.0, 0.1), 1)


def _growth(memory: list[tuple[int, int]], tasks: int) -> float:
    """Return the growth of memory from a tenth of the tasks to the end, in megabytes."""
    at_a_tenth = next((used for done, used in memory if done >= tasks / 10), memory[-1][1])
    return round((memory[-1][1] - at_a_tenth) / 1e6, 1)
