"""The workloads: what each of them needs and what it finds out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """`tasks` is how many it runs unless told otherwise; `figure` names its result and `better` which way is good."""

    name: str
    summary: str
    tasks: int
    workers: int
    concurrency: int
    figure: str
    unit: str
    web: bool = False
    more_is_better: bool = False

    def better(self, one: dict, other: dict) -> dict:
        choose = max if self.more_is_better else min
        return choose(one, other, key=lambda result: result[self.figure])


# Two workers with twenty slots each are what `manage.py up` starts.
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "noop",
            "tasks that do nothing, max_concurrent 500",
            5_000,
            2,
            20,
            "tasks_per_second",
            "tasks/s",
            more_is_better=True,
        ),
        Workload(
            "noop5",
            "tasks that do nothing, max_concurrent 5",
            5_000,
            2,
            20,
            "tasks_per_second",
            "tasks/s",
            more_is_better=True,
        ),
        Workload("sleep", "tasks of 1 s each, all at once in one worker", 500, 1, 500, "seconds", "s"),
        Workload("add", "tasks added by one call of the API", 100_000, 0, 0, "seconds", "s", web=True),
        Workload(
            "sandbox", "programs that do nothing, each once contained and once not", 40, 0, 0, "more_ms", "ms more"
        ),
        Workload("latency", "times add(start=true) until the task starts", 200, 2, 20, "p50_ms", "ms (p50)"),
    )
}
