"""A temporary installation: a data folder, a Valkey, a database, and the processes that somebody starts on it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path

from executor.broker.tickets import QUEUES
from executor.supervisor.child import Child, ending
from executor.supervisor.embedded import embedded_valkey
from executor.supervisor.log import Log
from executor.supervisor.supervisor import Supervisor

PATIENCE = 90.0  # seconds for one part to come up
PREFIX = "bx-ground-"
PLACE = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # sockets need short paths
OURS = ("BATCH_", "DATABASE_URL", "REDIS_URL", "DEBUG")  # what the environment says of another installation


class CannotGoOn(Exception):
    """A sentence for the person at the terminal."""


class Interrupted(Exception):
    """Somebody asked to stop."""


class Kept(Log):
    """Keeps the last lines of each process instead of showing them."""

    def __init__(self):
        super().__init__()
        self.lines: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=2_000))

    def line(self, name: str, text: str) -> None:
        self.lines[name].append(text)

    def last(self, name: str, count: int = 8) -> str:
        return "\n".join(list(self.lines[name])[-count:])


class Installation:
    """Used as a context; what it started is gone when it is left, however it is left. `settings` are what its
    processes find in their environment besides."""

    def __init__(self, database: str, **settings: str):
        self.database = database
        self.settings = settings
        self.log = Kept()
        self.supervisor = Supervisor(self.log)
        self.may_end: set[str] = set()  # processes whose end is no fault

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PLACE)).resolve()
        self.supervisor.listen_to_signals()
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
            self.supervisor.stop([(others, 8), (servers, 8)], within=15)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- setting up ---------------------------------------------------------------------------------

    def _prepare(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        self.valkey = embedded_valkey(data)
        self.valkey.prepare()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
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
        self.run("migrate", [sys.executable, "-m", "batchsite", "migrate", "--verbosity", "0"], PATIENCE)

    def _start_postgresql(self) -> None:
        folder = self.folder / "pg"
        folder.mkdir()
        self.folder.chmod(0o711)  # PostgreSQL may run as somebody else, who must reach its folder
        self.start("postgresql", [sys.executable, "-m", "executor.testbed.postgresql", str(folder)])
        self.wait_for(lambda: self.log.lines["postgresql"], "postgresql")
        self.environment["DATABASE_URL"] = self.log.lines["postgresql"][0]

    # --- processes ----------------------------------------------------------------------------------

    def start(self, name: str, argv: list[str], pass_fds=(), **environment: str) -> Child:
        env = {**self.environment, **environment}
        return self.supervisor.start(Child(name, lambda: argv, self.log, env=env, restart=False, pass_fds=pass_fds))

    def start_valkey(self) -> Child:
        return self.start("valkey", self.valkey.argv)

    def start_worker(self, name: str, concurrency: int) -> Child:
        """A worker. No two of an installation may have one name."""
        argv = [sys.executable, "-m", "batchsite", "rqworker", *QUEUES, "--name", name]
        return self.start(name, argv, BATCH_CONCURRENCY=str(concurrency))

    def run(self, name: str, argv: list[str], seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """A process from its start to its end."""
        self.may_end.add(name)
        child = self.start(name, argv)

        def over() -> bool:
            meanwhile()
            return not child.alive

        self.wait_for(over, name, seconds)
        if child.exit_code:
            raise CannotGoOn(f"{name} {ending(child.exit_code)}:\n{self.log.last(name)}")

    def wait_for(self, condition: Callable[[], object], name: str, seconds: float = PATIENCE) -> None:
        """Until the condition holds; a part that dies meanwhile is told with its last lines."""
        deadline = time.monotonic() + seconds
        while not self.supervisor.wait_for(lambda: bool(condition()), 0.2, every=0.02):
            if self.supervisor.asked_to_stop:
                raise Interrupted
            for child in self.supervisor.children:
                if not child.alive and child.exit_code is not None and child.name not in self.may_end:
                    told = self.log.last(child.name)
                    raise CannotGoOn(f"{child.name} {ending(child.exit_code)}:\n{told}")
            if time.monotonic() > deadline:
                raise CannotGoOn(f"{name} took longer than {seconds:g} s:\n{self.log.last(name)}")
