"""A batch with very many tasks: whether it runs as fast at its end as at its start, and how it is read then."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import orjson

from executor.testbed.benchmark.memory import Peak, resident, workers
from executor.testbed.benchmark.session import NOTHING, agent, execute, run_batch, spread, tell

LOOKS = 200  # at each kind of page
LONG = 20.0  # seconds for them, at most


def history(tasks: int, port: str, pid: str) -> dict:
    memory: list[tuple[int, int]] = []  # tasks done, bytes of everything that runs them and shows them
    processes = [int(pid), *workers()]

    def seen(_: float, done: int) -> None:
        memory.append((done, resident(processes)))

    seconds = run_batch(port, NOTHING, tasks, 500, patience=3600, seen=seen)
    batch_id = execute("status", batch="benchmark")["batch_id"]
    client = agent(port)
    read = {
        "status_": _times(lambda _: client.get(f"/api/batches/{batch_id}")),
        "results_": _times(lambda number: client.get(f"/api/batches/{batch_id}/results", params=_page(number, tasks))),
    }
    listed = f"/api/batches/{batch_id}/tasks"
    for name, filters in _FILTERS.items():
        of_few = {**filters, "limit": 100}
        read[f"list_{name}_"] = _times(lambda _, of_few=of_few: client.get(listed, params=of_few))
    read["search_"] = _times(lambda number: client.get(listed, params={**_TEXT, **_page(number, tasks)}))
    searched = _search(client, listed)
    rows = {}
    with Peak([int(pid)]) as exporting:
        for kind in ("jsonl", "csv"):
            started, lines = time.monotonic(), 0
            with client.stream("GET", f"/api/batches/{batch_id}/export", params={"format": kind}) as answer:
                for chunk in answer.iter_raw():
                    lines += chunk.count(b"\n")
            rows[f"{kind}_rows_per_second"] = round(lines / (time.monotonic() - started))
    figures: dict[str, float] = {}
    for name, milliseconds in read.items():
        figures |= spread(milliseconds, name)
    return {
        "tasks": tasks,
        "tasks_per_second": round(tasks / seconds),
        "last_to_first_percent": _last_to_first(batch_id, tasks),
        "more_mb_from_a_tenth_on": _growth(memory, tasks),
        **figures,
        "search_through_all_s": searched,
        **rows,
        "export_mb": exporting.over,
    }


# Everything matches the first, nothing the others.
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
    return {"limit": 100, "cursor": number * tasks // LOOKS} if number else {"limit": 100}


def _search(client: httpx.Client, listed: str) -> float:
    """Seconds until it is known that no task has a text."""
    started, cursor = time.monotonic(), None
    while True:
        answer = client.get(listed, params={**_TEXT, **({"cursor": cursor} if cursor else {})}).json()
        if not (cursor := answer["next_cursor"]):
            return round(time.monotonic() - started, 2)


def _times(look: Callable[[int], httpx.Response]) -> list[float]:
    """Milliseconds of each look, but for the first one: a server that was just started loads what it needs for it. What
    takes long is looked at for some seconds."""
    look(0).raise_for_status()
    times: list[float] = []
    while len(times) < LOOKS and sum(times) < LONG * 1000:
        started = time.monotonic()
        look(len(times)).raise_for_status()
        times.append((time.monotonic() - started) * 1000)
        tell(done=len(times), of=LOOKS)
    return times


def _last_to_first(batch_id: str, tasks: int) -> float:
    """The rate in the last tenth of all tasks, in percent of that in the first, by the batch's log."""
    from executor.models import BatchFrame

    frames = BatchFrame.objects.filter(batch=batch_id).order_by("seq").values_list("at", "counts")
    path = [(at, orjson.loads(counts)["completed"]) for at, counts in frames.iterator()]

    def rate(start: float, end: float) -> float:
        first = [point for point in path if point[1] <= start * tasks][-1]
        last = next(point for point in path if point[1] >= end * tasks)
        return (last[1] - first[1]) / max(0.001, (last[0] - first[0]).total_seconds())

    return round(100 * rate(0.9, 1.0) / rate(0.0, 0.1), 1)


def _growth(memory: list[tuple[int, int]], tasks: int) -> float:
    """Megabytes that were used more in the end than when a tenth was done."""
    at_a_tenth = next((used for done, used in memory if done >= tasks / 10), memory[-1][1])
    return round((memory[-1][1] - at_a_tenth) / 1e6, 1)
