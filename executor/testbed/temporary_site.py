"""A temporary site: a data folder, a Valkey, a database, and processes that use them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from executor.broker.tickets import QUEUES
from executor.supervisor.child import Child, describe_exit
from executor.supervisor.log import Log
from executor.supervisor.supervisor import Supervisor
from executor.supervisor.valkey import embedded_valkey

START_TIMEOUT = 90.0  # seconds for each part
STOP_TIMEOUT = 8.0  # seconds for processes, and again for servers
FOLDER_PREFIX = "bx-testbed-"
FOLDER_PARENT = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # sockets need short paths
SITE_VARIABLES = ("BATCH_", "DATABASE_URL", "REDIS_URL", "DEBUG")  # prefixes: they belong to another site


class TestbedError(Exception):
    """A reason why a run cannot continue, as a sentence for the terminal."""


class Interrupted(Exception):
    """A stop signal was received."""


class BufferedLog(Log):
    """Keeps the last lines of each process instead of printing them."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=2_000))

    def line(self, name: str, text: str) -> None:
        self.lines[name].append(text)

    def tail(self, name: str, count: int = 8) -> str:
        return "\n".join(list(self.lines[name])[-count:])


class TemporarySite:
    """Context manager of a site that is removed with all its processes at the end.

    `settings` are environment variables of its processes.
    """

    def __init__(self, database: str, **settings: str):
        self.database = database
        self.settings = settings
        self.log = BufferedLog()
        self.supervisor = Supervisor(self.log)
        self.may_exit: set[str] = set()  # names of processes whose end is no error

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=FOLDER_PARENT)).resolve()
        self.supervisor.install_signal_handlers()
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        servers = [child for child in self.supervisor.children if child.name in ("valkey", "postgresql")]
        others = [child for child in self.supervisor.children if child not in servers]
        try:
            self.supervisor.stop([(others, STOP_TIMEOUT), (servers, STOP_TIMEOUT)], timeout=2 * STOP_TIMEOUT)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- setting up ---------------------------------------------------------------------------------

    def _prepare(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        self.valkey = embedded_valkey(data)
        self.valkey.prepare()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(SITE_VARIABLES)}
        self.environment = {
            **inherited,
            "BATCH_DATA": str(data),
            "REDIS_URL": self.valkey.url,
            "DATABASE_URL": f"sqlite:///{data / 'batch.sqlite3'}",
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "batchsite.settings",
            **self.settings,
        }
        self.start_valkey()
        if self.database == "postgresql":
            self._start_postgresql()
        self.wait_for(self.valkey.answers, "valkey")
        self.run("migrate", [sys.executable, "-m", "batchsite", "migrate", "--verbosity", "0"], START_TIMEOUT)

    def _start_postgresql(self) -> None:
        folder = self.folder / "pg"
        folder.mkdir()
        self.folder.chmod(0o711)  # PostgreSQL may run as another user, who needs access to its folder
        self.start("postgresql", [sys.executable, "-m", "executor.testbed.postgresql", str(folder)])
        self.wait_for(lambda: self.log.lines["postgresql"], "postgresql")
        self.environment["DATABASE_URL"] = self.log.lines["postgresql"][0]

    # --- processes ----------------------------------------------------------------------------------

    def start(self, name: str, argv: list[str], pass_fds: Iterable[int] = (), **environment: str) -> Child:
        env = {**self.environment, **environment}
        return self.supervisor.start(Child(name, lambda: argv, self.log, env=env, restart=False, pass_fds=pass_fds))

    def start_valkey(self) -> Child:
        return self.start("valkey", self.valkey.argv)

    def start_worker(self, name: str, concurrency: int) -> Child:
        """Start a worker; its name must be new to this site."""
        argv = [sys.executable, "-m", "batchsite", "rqworker", *QUEUES, "--name", name]
        return self.start(name, argv, BATCH_CONCURRENCY=str(concurrency))

    def run(self, name: str, argv: list[str], timeout: float, poll: Callable[[], None] = lambda: None) -> None:
        """Run a process to its end; call `poll` while it runs.

        Raises TestbedError, Interrupted.
        """
        self.may_exit.add(name)
        child = self.start(name, argv)

        def has_ended() -> bool:
            poll()
            return not child.alive

        self.wait_for(has_ended, name, timeout)
        if child.exit_code:
            raise TestbedError(f"{name} {describe_exit(child.exit_code)}:\n{self.log.tail(name)}")

    def wait_for(self, condition: Callable[[], object], name: str, timeout: float = START_TIMEOUT) -> None:
        """Wait until the condition holds.

        Raises TestbedError after the timeout or when a process ends unexpectedly, Interrupted.
        """
        deadline = time.monotonic() + timeout
        while not self.supervisor.wait_for(lambda: bool(condition()), 0.2, poll_interval=0.02):
            if self.supervisor.stop_requests:
                raise Interrupted
            for child in self.supervisor.children:
                if not child.alive and child.exit_code is not None and child.name not in self.may_exit:
                    raise TestbedError(f"{child.name} {describe_exit(child.exit_code)}:\n{self.log.tail(child.name)}")
            if time.monotonic() > deadline:
                raise TestbedError(f"{name} took longer than {timeout:g} s:\n{self.log.tail(name)}")
