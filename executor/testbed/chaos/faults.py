"""Faults of processes in a chaos run, and the site under test."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

import orjson
import psutil

from executor.processes.groups import kill_group
from executor.supervisor.child import Child
from executor.testbed.temporary_site import TemporarySite, TestbedError

from . import KILLS_FILE

WORKERS, CONCURRENCY = 3, 12
# Short limits: faults are detected in seconds instead of half a minute.
SETTINGS = {
    "BATCH_APPS": "executor.testbed.chaos",
    "BATCH_HEARTBEAT": "0.5",
    "BATCH_HEARTBEAT_LIMIT": "3",
    "BATCH_TICKET_LIMIT": "2",
    "BATCH_GRACE": "2",
    "BATCH_PROCESSES": "4",
}
STOPPED_SECONDS = (3.5, 6.0)  # of a stopped worker: longer than the heartbeat limit
SETTLE_TIMEOUT = 90.0  # seconds from the last fault until every task must be final
MEAN_INTERVAL = 1.2  # seconds between two faults

# fault → weight, method
FAULTS = {
    "kill -9 of a worker": (5, "_kill"),
    "SIGSTOP of a worker past its heartbeat": (2, "_stop"),
    "SIGTERM of a worker": (2, "_end"),
    "kill -9 of a worker's child": (3, "_kill_child"),
    "kill -9 and restart of Valkey": (1, "_restart_valkey"),
    "immediate restart of PostgreSQL": (1, "_restart_postgresql"),
}


class ChaosSite(TemporarySite):
    """A temporary site under load, with random faults of its processes."""

    def __init__(self, database: str, seed: int):
        super().__init__(database, **SETTINGS)
        self.chance = random.Random(f"processes {seed}")
        self.done: Counter = Counter()
        self.may_exit |= {"valkey"}
        self._workers: list[Child] = []
        self._stopped: dict[Child, float] = {}  # → monotonic time of SIGCONT
        self._valkey_restart_at: float | None = None
        self._next_fault_at = 0.0
        self._serial = 0
        self._kills: list[tuple[int, float]] = []

    def run_chaos(self, seed: int, seconds: float, show_progress: Callable[[int, int], None]) -> dict:
        """Run load and faults, wait until all tasks are final, and return the report.

        Raises TestbedError, Interrupted.
        """
        self._replace_workers()
        argv = [
            sys.executable,
            "-m",
            "executor.testbed.chaos.driver",
            str(seed),
            str(seconds),
            str(SETTLE_TIMEOUT),
            str(self.folder),
        ]
        lines, report = self.log.lines["driver"], {}
        end = time.monotonic() + seconds

        def poll() -> None:
            while lines:
                text = lines.popleft()
                if not text.startswith("{"):
                    self.log.line("callers", text)  # printed if there is no report
                    continue
                line = orjson.loads(text)
                report.update(line.get("report", {}))
                if "done" in line:
                    show_progress(line["done"], line["of"])
            self._inject_faults(over=time.monotonic() >= end)

        self.run("driver", argv, seconds + 3 * SETTLE_TIMEOUT, poll)
        poll()
        if not report:
            raise TestbedError(f"The callers made no report:\n{self.log.tail('callers', 30)}")
        return {**report, "done": {**self.done, **report["done"]}}

    def _inject_faults(self, over: bool) -> None:
        """Inject and undo the faults that are due; `over` undoes all."""
        now = time.monotonic()
        for child, until in list(self._stopped.items()):
            if now >= until or over:
                del self._stopped[child]
                _signal_group(child, signal.SIGCONT)
        if self._valkey_restart_at is not None and (now >= self._valkey_restart_at or over):
            self._valkey_restart_at = None
            self.start_valkey()
        if not over and now >= self._next_fault_at:
            self._next_fault_at = now + self.chance.expovariate(1 / MEAN_INTERVAL)
            [(fault, (_, method))] = self.chance.choices(
                list(FAULTS.items()), [weight for weight, _ in FAULTS.values()]
            )
            if getattr(self, method)() is not False:
                self.done[fault] += 1
        self._replace_workers()

    def _replace_workers(self) -> None:
        """Start workers until there are WORKERS of them."""
        self._workers = [child for child in self._workers if child.alive]
        while len(self._workers) < WORKERS:
            self._serial += 1
            name = f"worker-{self._serial}"
            self.may_exit.add(name)
            self._workers.append(self.start_worker(name, CONCURRENCY))

    # --- faults; each returns False if there was no process for it ---

    def _random_worker(self) -> Child | None:
        running = [child for child in self._workers if child.alive and child not in self._stopped]
        return self.chance.choice(running) if running else None

    def _kill(self) -> bool:
        child = self._random_worker()
        if child is None or (pid := child.pid) is None:
            return False
        self._kills.append((pid, time.time()))
        (self.folder / KILLS_FILE).write_bytes(orjson.dumps(self._kills))
        os.kill(pid, signal.SIGKILL)  # only the worker: its children must end without it
        return True

    def _stop(self) -> bool:
        child = self._random_worker()
        if child is None or self._stopped:
            return False
        self._stopped[child] = time.monotonic() + self.chance.uniform(*STOPPED_SECONDS)
        _signal_group(child, signal.SIGSTOP)
        return True

    def _end(self) -> bool:
        child = self._random_worker()
        if child is None:
            return False
        child.signal(signal.SIGTERM)
        return True

    def _kill_child(self) -> bool:
        child = self._random_worker()
        try:
            descendants = psutil.Process(child.pid).children(recursive=True) if child else []
        except psutil.Error:
            descendants = []
        if not descendants:
            return False
        try:
            self.chance.choice(descendants).kill()
        except psutil.Error:
            return False  # it has just ended
        return True

    def _restart_valkey(self) -> bool:
        child = next((child for child in self.supervisor.children if child.name == "valkey" and child.alive), None)
        if child is None:
            return False
        self._valkey_restart_at = time.monotonic() + self.chance.uniform(0.0, 2.0)
        child.signal(signal.SIGKILL)
        return True

    def _restart_postgresql(self) -> bool:
        child = next((child for child in self.supervisor.children if child.name == "postgresql"), None)
        if child is None:
            return False
        child.signal(signal.SIGUSR1)
        return True


def _signal_group(child: Child, signum: int) -> None:
    """Signal a worker and its session, as suspending a laptop stops them."""
    if child.pid:
        kill_group(child.pid, signum)
