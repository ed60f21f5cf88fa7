"""The callers of a chaos run, as a process: `python -m executor.testbed.chaos.driver SEED SECONDS PATIENCE FOLDER`.

When their time is over they wait until everything has come to its end, and judge. Each line of the output is JSON:
{"done": n, "of": n} while it goes on, {"verdict": {...}} in the end.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import orjson

PAUSE = 0.12  # seconds between two things that callers do, on average


def tell(**line) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


def main(seed: str, seconds: str, patience: str, folder: str) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    django.setup()
    from .callers import Callers
    from .verdict import judge

    deadline = time.monotonic() + float(seconds)
    callers = Callers(int(seed), deadline)
    while time.monotonic() < deadline:
        callers.something()
        tell(done=callers.over(), of=callers.tasks)
        time.sleep(callers.chance.expovariate(1 / PAUSE))
    began = time.monotonic()
    calm = False
    while not calm and time.monotonic() - began < float(patience):
        calm = callers.settled()
        tell(done=callers.over(), of=callers.tasks)
        time.sleep(0.2)
    took = time.monotonic() - began if calm else None
    tell(verdict=judge(callers, took, Path(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
