"""The temporary site of a benchmark, and the processor time that a workload uses on it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import orjson
import psutil

from executor.supervisor.health_probe import HealthProbe
from executor.testbed.temporary_site import TemporarySite, TestbedError

from .plan import Workload

TIMEOUT = 3_600.0  # seconds for one run of a workload


class BenchmarkSite(TemporarySite):
    """A temporary site that runs workloads."""

    def __init__(self, database: str):
        super().__init__(database, BATCH_APPS="executor.testbed.benchmark")

    def start_workers(self, workload: Workload) -> None:
        for number in range(1, workload.workers + 1):
            self.start_worker(f"worker-{number}", workload.concurrency)

    def start_web(self) -> tuple[int, int | None]:
        """Start a web server; return its port and pid when it answers."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        port, fd = listener.getsockname()[1], listener.fileno()
        with listener:
            argv = [sys.executable, "-m", "daphne", "-v", "0", "--fd", str(fd), "batchsite.asgi:application"]
            web = self.start("web", argv, pass_fds=[fd])
        probe = HealthProbe("127.0.0.1", port, "127.0.0.1")
        try:
            self.wait_for(probe.is_healthy, "web")
        finally:
            probe.close()
        return port, web.pid

    def run_workload(
        self, workload: Workload, tasks: int, *arguments: int, show_progress: Callable[[int, int], None]
    ) -> dict:
        """Run the workload once and return its figures.

        Raises TestbedError, Interrupted.
        """
        argv = [
            sys.executable,
            "-m",
            "executor.testbed.benchmark.driver",
            workload.name,
            str(tasks),
            *map(str, arguments),
        ]
        lines = self.log.lines["driver"]
        lines.clear()
        result: dict = {}

        def read() -> None:
            while lines and lines[0].startswith("{"):
                line = orjson.loads(lines.popleft())
                result.update(line.get("result", {}))
                if "done" in line:
                    show_progress(line["done"], line["of"])

        before = self._cpu_seconds()
        self.run("driver", argv, TIMEOUT, read)
        read()
        if not result:
            raise TestbedError(f"The workload {workload.name} gave no result:\n{self.log.tail('driver')}")
        return {**result, "cpu_seconds": round(self._cpu_seconds() - before, 2)}

    def _cpu_seconds(self) -> float:
        """Return the processor time of servers and workers so far, which does not depend on other load."""
        used = 0.0
        for child in self.supervisor.children:
            if child.alive:
                parent = psutil.Process(child.pid)
                for process in (parent, *parent.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):  # it has just ended
                        times = process.cpu_times()
                        used += times.user + times.system
        return used
