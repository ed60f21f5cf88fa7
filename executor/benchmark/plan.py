"""The workloads: what each of them needs and what it finds out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """`tasks` is how many it runs unless told otherwise; `figure` names its result, of which the least or the most is
    best. A `long` one is run only when it is asked for."""

    name: str
    summary: str
    tasks: int
    workers: int
    concurrency: int
    figure: str
    unit: str
    web: bool = False
    best: str = "least"
    long: bool = False

    def better(self, one: dict, other: dict) -> dict:
        choose = max if self.best == "most" else min
        return choose(one, other, key=lambda result: result[self.figure])


# Two workers with twenty slots each are what `manage.py up` starts.
_RATE = ("tasks_per_second", "tasks/s")
_WAIT = ("p50_ms", "ms (p50)")
_ALL = (
    Workload("noop", "tasks that do nothing, max_concurrent 500", 5_000, 2, 20, *_RATE, best="most"),
    Workload("noop5", "tasks that do nothing, max_concurrent 5", 5_000, 2, 20, *_RATE, best="most"),
    Workload("sleep", "tasks of 1 s each, all at once in one worker", 500, 1, 500, "seconds", "s"),
    Workload("crowd", "tasks of 1 s each, all at once in one worker", 2_000, 1, 2_000, "seconds", "s"),
    Workload("plain", "plain functions that compute for 10 ms", 1_000, 2, 20, "used_percent", "% used", best="most"),
    Workload("add", "tasks added by one call of the API", 100_000, 0, 0, "seconds", "s", web=True),
    Workload("latency", "times add(start=true) until the task starts", 200, 2, 20, *_WAIT),
    Workload("http", "times the same through the API", 200, 2, 20, *_WAIT, web=True),
    Workload("critical", "low tasks before a critical one", 20_000, 2, 20, *_WAIT),
    Workload("sockets", "tasks of a batch that 200 browsers watch", 4_000, 2, 40, "p99_ms", "ms old (p99)", web=True),
    Workload("sandbox", "programs that do nothing, each once contained and once not", 40, 0, 0, "more_ms", "ms more"),
    Workload("idle", "seconds of `manage.py up` with nothing to do", 10, 0, 0, "percent_of_a_core", "% of a core"),
    Workload("up", "warm starts of `manage.py up`", 3, 0, 0, "seconds", "s"),
    Workload(
        "history",
        "tasks of one batch, run and then read",
        *(1_000_000, 2, 20, "last_to_first_percent", "% of its first rate in the end"),
        web=True,
        best="most",
        long=True,
    ),
    Workload(
        "growth",
        "tasks that do nothing, after a hundred and ten times as many again and again",
        *(1_000_000, 2, 20, "tasks_per_second", "tasks/s with most tasks"),
        best="most",
        long=True,
    ),
)
WORKLOADS = {workload.name: workload for workload in _ALL}
