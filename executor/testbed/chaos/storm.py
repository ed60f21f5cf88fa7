"""The faults of a chaos run that befall processes: the installation they befall, and what is done to it."""

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
from executor.testbed.installation import CannotGoOn, Installation

from . import KILLS

WORKERS, CONCURRENCY = 3, 12
# Faults are noticed in seconds instead of half a minute.
SETTINGS = {
    "BATCH_APPS": "executor.testbed.chaos",
    "BATCH_HEARTBEAT": "0.5",
    "BATCH_HEARTBEAT_LIMIT": "3",
    "BATCH_TICKET_LIMIT": "2",
    "BATCH_GRACE": "2",
    "BATCH_PROCESSES": "4",
}
ASLEEP = (3.5, 6.0)  # seconds that a worker is stopped: past its heartbeat's limit
SETTLES = 90.0  # seconds in which everything must have come to its end when the faults are over
PAUSE = 1.2  # seconds between two faults, on average

# what befalls processes → how often, compared with the others, and by which method
FAULTS = {
    "kill -9 of a worker": (5, "_kill"),
    "SIGSTOP of a worker past its heartbeat": (2, "_stop"),
    "SIGTERM of a worker": (2, "_end"),
    "kill -9 of a worker's child": (3, "_kill_child"),
    "kill -9 and restart of Valkey": (1, "_restart_valkey"),
    "immediate restart of PostgreSQL": (1, "_restart_postgresql"),
}


class Storm(Installation):
    """A temporary installation under load, and the faults that befall it until its time is over."""

    def __init__(self, database: str, seed: int):
        super().__init__(database, **SETTINGS)
        self.chance = random.Random(f"processes {seed}")
        self.done: Counter = Counter()
        self.may_end |= {"valkey"}
        self._workers: list[Child] = []
        self._asleep: dict[Child, float] = {}  # until when
        self._valkey_due: float | None = None
        self._next = 0.0
        self._serial = 0
        self._kills: list[tuple[int, float]] = []

    def run_through(self, seed: int, seconds: float, show: Callable[[int, int], None]) -> dict:
        """Load and faults for so long, then calm; the verdict."""
        self._fill_up()
        argv = [
            sys.executable,
            "-m",
            "executor.testbed.chaos.driver",
            str(seed),
            str(seconds),
            str(SETTLES),
            str(self.folder),
        ]
        lines, verdict = self.log.lines["driver"], {}
        end = time.monotonic() + seconds

        def meanwhile() -> None:
            while lines:
                text = lines.popleft()
                if not text.startswith("{"):
                    self.log.line("callers", text)  # what went wrong there, should it come to no verdict
                    continue
                line = orjson.loads(text)
                verdict.update(line.get("verdict", {}))
                if "done" in line:
                    show(line["done"], line["of"])
            self._turn(calm=time.monotonic() >= end)

        self.run("driver", argv, seconds + 3 * SETTLES, meanwhile)
        meanwhile()
        if not verdict:
            raise CannotGoOn(f"The callers came to no verdict:\n{self.log.last('callers', 30)}")
        return {**verdict, "done": {**self.done, **verdict["done"]}}

    # --- time passes ---

    def _turn(self, calm: bool) -> None:
        now = time.monotonic()
        for child, until in list(self._asleep.items()):
            if now >= until or calm:
                del self._asleep[child]
                _signal(child, signal.SIGCONT)
        if self._valkey_due is not None and (now >= self._valkey_due or calm):
            self._valkey_due = None
            self.start_valkey()
        if not calm and now >= self._next:
            self._next = now + self.chance.expovariate(1 / PAUSE)
            [(fault, (_, method))] = self.chance.choices(list(FAULTS.items()), [often for often, _ in FAULTS.values()])
            if getattr(self, method)() is not False:
                self.done[fault] += 1
        self._fill_up()

    def _fill_up(self) -> None:
        """There are as many workers as at the beginning, whatever became of those."""
        self._workers = [child for child in self._workers if child.alive]
        while len(self._workers) < WORKERS:
            self._serial += 1
            name = f"worker-{self._serial}"
            self.may_end.add(name)
            self._workers.append(self.start_worker(name, CONCURRENCY))

    # --- what befalls them: False when there was nobody to befall ---

    def _a_worker(self) -> Child | None:
        awake = [child for child in self._workers if child.alive and child not in self._asleep]
        return self.chance.choice(awake) if awake else None

    def _kill(self) -> bool:
        child = self._a_worker()
        if child is None:
            return False
        self._kills.append((child.pid, time.time()))
        (self.folder / KILLS).write_bytes(orjson.dumps(self._kills))
        os.kill(child.pid, signal.SIGKILL)  # it alone: what it started must end by itself
        return True

    def _stop(self) -> bool:
        child = self._a_worker()
        if child is None or self._asleep:
            return False
        self._asleep[child] = time.monotonic() + self.chance.uniform(*ASLEEP)
        _signal(child, signal.SIGSTOP)
        return True

    def _end(self) -> bool:
        child = self._a_worker()
        if child is None:
            return False
        child.signal(signal.SIGTERM)
        return True

    def _kill_child(self) -> bool:
        child = self._a_worker()
        try:
            below = psutil.Process(child.pid).children(recursive=True) if child else []
        except psutil.Error:
            below = []
        if not below:
            return False
        try:
            self.chance.choice(below).kill()
        except psutil.Error:
            return False  # it ended meanwhile
        return True

    def _restart_valkey(self) -> bool:
        child = next((child for child in self.supervisor.children if child.name == "valkey" and child.alive), None)
        if child is None:
            return False
        self._valkey_due = time.monotonic() + self.chance.uniform(0.0, 2.0)
        child.signal(signal.SIGKILL)
        return True

    def _restart_postgresql(self) -> bool:
        child = next((child for child in self.supervisor.children if child.name == "postgresql"), None)
        if child is None:
            return False
        child.signal(signal.SIGUSR1)
        return True


def _signal(child: Child, signum: int) -> None:
    """To a worker and what it started within its session, as a sleeping laptop does it."""
    if child.pid:
        kill_group(child.pid, signum)
