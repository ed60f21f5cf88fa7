"""`manage.py up`: its cost at idle, and the duration of its start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import IO, cast

import psutil

from executor.processes.layout import PROJECT
from executor.testbed.benchmark.session import write_line

SETTLE_TIME = 5.0  # seconds after a start


def idle(tasks: int) -> dict:
    """Measure processor time and memory of all processes for `tasks` seconds."""
    with tempfile.TemporaryDirectory() as data, _Up(data) as site:
        time.sleep(SETTLE_TIME)
        processes = site.processes()
        before = sum(sum(process.cpu_times()[:2]) for process in processes)
        for second in range(tasks):
            write_line(done=second, of=tasks)
            time.sleep(1)
        used = sum(sum(process.cpu_times()[:2]) for process in processes) - before
        # PSS: shared pages are counted once.
        memory = sum(process.memory_full_info().pss for process in processes)
    return {
        "tasks": tasks,
        "percent_of_a_core": round(100 * used / tasks, 2),
        "memory_mb": round(memory / 1e6),
        "processes": len(processes),
    }


def up(tasks: int) -> dict:
    """Measure `manage.py up` until `ready:`: the first start, and the median of the others."""
    times = []
    with tempfile.TemporaryDirectory() as data:
        for number in range(tasks + 1):
            started = time.monotonic()
            with _Up(data):
                times.append(time.monotonic() - started)
            write_line(done=number, of=tasks)
    return {"tasks": tasks, "seconds": round(median(times[1:]), 2), "first_seconds": round(times[0], 2)}


class _Up:
    """Context manager of a running `manage.py up`."""

    def __init__(self, data: str):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        site_variables = ("BATCH_", "DATABASE_URL", "REDIS_URL")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(site_variables)}
        argv = [sys.executable, "-m", "batchsite", "up", "--data", data, "--port", str(port)]
        self._process = subprocess.Popen(
            argv, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __enter__(self) -> _Up:
        for line in cast(IO[str], self._process.stdout):
            if line.startswith("ready:"):
                return self
        sys.exit("`manage.py up` did not start.")

    def __exit__(self, *_) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]
