"""A supervised child process and its restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import IO, Any, cast

from executor.processes.groups import kill_group
from executor.processes.spawning import spawn
from executor.supervisor.log import LineSplitter, Log

MIN_BACKOFF, MAX_BACKOFF = 1.0, 30.0  # seconds before a restart
HEALTHY_AFTER = 60.0  # seconds of running time that reset the backoff


class Child:
    """A process with its log lines. `command` is called at every start, because workers need a new name each time."""

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
        self.process: subprocess.Popen[bytes] | None = None
        self.exit_code: int | None = None
        self.failures = 0
        self.restart_at: float | None = None  # monotonic time
        self._command = command
        self._options: dict[str, Any] = {"env": env, "death_signal": death_signal, "pass_fds": tuple(pass_fds)}
        self._lines = LineSplitter()
        self._started_at = 0.0
        log.reserve_prefix(name)

    @property
    def alive(self) -> bool:
        return self.process is not None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def output(self) -> IO[bytes]:
        """The pipe from the process; there is one from its start until it is reaped."""
        return cast(IO[bytes], cast("subprocess.Popen[bytes]", self.process).stdout)

    def start(self) -> None:
        self.restart_at = self.exit_code = None
        self._started_at = time.monotonic()
        self.process = spawn(
            self._command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, **self._options
        )
        os.set_blocking(self.output.fileno(), False)

    def read(self) -> bool:
        """Log what the process has written; return False at the end of its output."""
        try:
            data = os.read(self.output.fileno(), 65536)
        except BlockingIOError:
            return True
        for line in self._lines.feed(data):
            self.log.line(self.name, line)
        return bool(data)

    def reap(self, *, stopping: bool) -> None:
        """Collect the ended process, kill the rest of its session, and plan the restart."""
        process = cast("subprocess.Popen[bytes]", self.process)
        kill_group(process.pid)
        self.exit_code = process.wait()
        self._read_rest()
        self.process = None
        if stopping or not self.restart:
            return
        lived = time.monotonic() - self._started_at
        self.failures = 1 if lived >= HEALTHY_AFTER else self.failures + 1
        delay = backoff(self.failures)
        self.restart_at = time.monotonic() + delay
        self.log.line(self.name, f"{describe_exit(self.exit_code)}; restarting in {delay:g} s")

    def _read_rest(self) -> None:
        with self.output as stdout:
            # Limited to the capacity of a pipe: a process outside the session may still write to it.
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
    """Return the delay before a restart: 1, 2, 4 … 30 seconds."""
    return min(MAX_BACKOFF, MIN_BACKOFF * 2 ** min(failures - 1, 10))


def describe_exit(code: int) -> str:
    """Return an exit code in words; negative codes are signals."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
