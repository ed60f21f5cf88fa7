"""The callers of a chaos run, as a process.

Usage: `python -m executor.testbed.chaos.driver SEED SECONDS SETTLE_TIMEOUT FOLDER`.

After SECONDS they wait until every task is final, and audit the site. Each line of the output is JSON:
{"done": n, "of": n} as progress, then {"report": {...}}.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import orjson

MEAN_INTERVAL = 0.12  # seconds between two operations


def write_line(**line: object) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


def main(seed: str, seconds: str, settle_timeout: str, folder: str) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    django.setup()
    from .callers import Callers
    from .report import build_report

    deadline = time.monotonic() + float(seconds)
    callers = Callers(int(seed), deadline)
    while time.monotonic() < deadline:
        callers.run_operation()
        write_line(done=callers.final_tasks(), of=callers.tasks)
        time.sleep(callers.chance.expovariate(1 / MEAN_INTERVAL))
    began = time.monotonic()
    settled = False
    while not settled and time.monotonic() - began < float(settle_timeout):
        settled = callers.settle()
        write_line(done=callers.final_tasks(), of=callers.tasks)
        time.sleep(0.2)
    duration = time.monotonic() - began if settled else None
    write_line(report=build_report(callers, duration, Path(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
