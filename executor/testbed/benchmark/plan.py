"""The workloads: their processes, sizes and figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """A workload of `tasks` tasks by default.

    `figure` names its main result, of which the least or the most is `best`. With `web` there is a web server, and a
    page watches the running batch. A `long` workload runs only when it is named.
    """

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
        """Return the median run; of an even number, the worse of the two in the middle."""
        ordered = sorted(runs, key=lambda run: run[self.figure], reverse=self.best == "most")
        return ordered[len(ordered) // 2]


_UP = (True, 2, 20)  # what `manage.py up` starts
_SELF_CONTAINED = (False, 0, 0)  # starts the processes that it needs
_RATE = ("tasks_per_second", "tasks/s")
_WAIT = ("p50_ms", "ms (p50)")
_WORKLOADS = (
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
        "sandbox",
        "programs that do nothing, each once contained and once not",
        40,
        *_SELF_CONTAINED,
        "more_ms",
        "ms more",
    ),
    Workload(
        "idle", "seconds of `manage.py up` with nothing to do", 10, *_SELF_CONTAINED, "percent_of_a_core", "% of a core"
    ),
    Workload("up", "warm starts of `manage.py up`", 3, *_SELF_CONTAINED, "seconds", "s"),
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
WORKLOADS = {workload.name: workload for workload in _WORKLOADS}
