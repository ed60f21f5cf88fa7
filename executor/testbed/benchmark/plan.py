"""The workloads: what each of them needs and what it finds out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """`tasks` is how many it runs unless told otherwise; `figure` names its result, of which the least or the most is
    `best`. A `long` one is run only when it is asked for. With `web` there is a web server, where a page watches the
    batch that runs."""

    name: str
    summary: str
    tasks: int
    web: bool
    workers: int
    concurrency: int
    figure: str
    unit: str
    best: str = "least"
    long: bool = False

    def typical(self, runs: list[dict]) -> dict:
        """The run in the middle; of two, the worse one."""
        ordered = sorted(runs, key=lambda run: run[self.figure], reverse=self.best == "most")
        return ordered[len(ordered) // 2]


_UP = (True, 2, 20)  # what `manage.py up` starts
_APART = (False, 0, 0)  # starts by itself what it needs
_RATE = ("tasks_per_second", "tasks/s")
_WAIT = ("p50_ms", "ms (p50)")
_ALL = (
    Workload("noop", "tasks that do nothing, max_concurrent 500", 5_000, *_UP, *_RATE, best="most"),
    Workload("noop5", "tasks that do nothing, max_concurrent 5", 5_000, *_UP, *_RATE, best="most"),
    Workload("sleep", "tasks of 1 s each, all at once in one worker", 500, True, 1, 500, "seconds", "s"),
    Workload("crowd", "tasks of 1 s each, all at once in one worker", 2_000, True, 1, 2_000, "seconds", "s"),
    Workload("plain", "plain functions that compute for 10 ms", 1_000, *_UP, "used_percent", "% used", best="most"),
    Workload("add", "tasks added by one call of the API", 100_000, True, 0, 0, "seconds", "s"),
    Workload("latency", "times add(start=true) until the task starts", 200, *_UP, *_WAIT),
    Workload("http", "times the same through the API", 200, *_UP, *_WAIT),
    Workload("critical", "low tasks before a critical one", 100_000, *_UP, *_WAIT),
    Workload("sockets", "tasks of a batch that 200 browsers watch", 4_000, True, 2, 40, "p99_ms", "ms old (p99)"),
    Workload(
        "sandbox", "programs that do nothing, each once contained and once not", 40, *_APART, "more_ms", "ms more"
    ),
    Workload("idle", "seconds of `manage.py up` with nothing to do", 10, *_APART, "percent_of_a_core", "% of a core"),
    Workload("up", "warm starts of `manage.py up`", 3, *_APART, "seconds", "s"),
    Workload(
        "history",
        "tasks of one batch, run and then read",
        *(1_000_000, *_UP, "last_to_first_percent", "% of its first rate in the end"),
        best="most",
        long=True,
    ),
    Workload(
        "growth",
        "tasks that do nothing, after a hundred and ten times as many again and again",
        *(1_000_000, *_UP, "tasks_per_second", "tasks/s with most tasks"),
        best="most",
        long=True,
    ),
)
WORKLOADS = {workload.name: workload for workload in _ALL}
