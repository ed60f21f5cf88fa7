"""The process that runs one workload.

Usage: `python -m executor.testbed.benchmark.driver NAME TASKS [WEB_PORT WEB_PID]`.

Each line of its output is JSON: {"done": n, "of": n} as progress, then {"result": {...}}.
"""

from __future__ import annotations

import os
import sys
import time

from .session import write_line


def wait_for_workers(count: int) -> None:
    from executor.models import WorkerNode

    """Wait until this many workers are active."""
    deadline = time.monotonic() + 60
    while WorkerNode.objects.filter(state=WorkerNode.State.ACTIVE).count() < count:
        if time.monotonic() > deadline:
            sys.exit("The workers did not start within 60 s.")
        time.sleep(0.05)


def main(name: str, tasks: str, *rest: str) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    django.setup()
    from .plan import WORKLOADS
    from .workloads import WORK

    wait_for_workers(WORKLOADS[name].workers)
    write_line(result=WORK[name](int(tasks), *rest))


if __name__ == "__main__":
    main(*sys.argv[1:])
