"""One supervised process: started, read, started again when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable

from executor.processes.groups import kill_group
from executor.processes.spawning import spawn
from executor.supervisor.log import Lines, Log

SHORTEST, LONGEST = 1.0, 30.0  # seconds before a process that ended is started again
HEALTHY = 60.0  # seconds of life after which the next end counts as the first


class Child:
    """`command` is asked at every start, because some processes need a new name each time."""

    def __init__(
        self,
        name: str,
        command: Callable[[], list[str]],
        log: Log,
        *,
        env: dict[str, str],
        death_signal: int = signal.SIGTERM,
        pass_fds: Iterable[int] = (),
        restart: bool = True,
    ):
        self.name = name
        self.log = log
        self.restart = restart
        self.process: subprocess.Popen | None = None
        self.exit_code: int | None = None
        self.failures = 0
        self.due: float | None = None  # when it is started again
        self._command = command
        self._options = {"env": env, "death_signal": death_signal, "pass_fds": tuple(pass_fds)}
        self._lines = Lines()
        self._started_at = 0.0
        log.expect(name)

    @property
    def alive(self) -> bool:
        return self.process is not None

    @property
    def pid(self) -> int | None:
        return self.process and self.process.pid

    def start(self) -> None:
        self.due = self.exit_code = None
        self._started_at = time.monotonic()
        self.process = spawn(
            self._command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, **self._options
        )
        os.set_blocking(self.process.stdout.fileno(), False)

    def read(self) -> bool:
        """Pass on what it has written; False at the end of its output."""
        try:
            data = os.read(self.process.stdout.fileno(), 65536)
        except BlockingIOError:
            return True
        for line in self._lines.feed(data):
            self.log.line(self.name, line)
        return bool(data)

    def ended(self, *, stopping: bool) -> None:
        """It has ended and is not yet collected. What it leaves behind in its session ends with it."""
        kill_group(self.process.pid)
        self.exit_code = self.process.wait()
        self._read_rest()
        self.process = None
        if stopping or not self.restart:
            return
        lived = time.monotonic() - self._started_at
        self.failures = 1 if lived >= HEALTHY else self.failures + 1
        pause = backoff(self.failures)
        self.due = time.monotonic() + pause
        self.log.line(self.name, f"{ending(self.exit_code)}; starting it again in {pause:g} s")

    def _read_rest(self) -> None:
        with self.process.stdout as stdout:
            # As much as a pipe holds, and no more: somebody else may have it open still, and write.
            for _ in range(32):
                data = stdout.read(65536)
                if not data:
                    break
                for line in self._lines.feed(data):
                    self.log.line(self.name, line)
        for line in self._lines.end():
            self.log.line(self.name, line)

    def signal(self, signum: int) -> None:
        if self.process:
            self.process.send_signal(signum)

    def kill(self) -> None:
        if self.process:
            kill_group(self.process.pid)


def backoff(failures: int) -> float:
    """1, 2, 4 … 30 seconds."""
    return min(LONGEST, SHORTEST * 2 ** min(failures - 1, 10))


def ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
