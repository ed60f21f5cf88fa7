"""A temporary installation to measure on: a data folder, a Valkey, a database, and the processes it takes."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path

import orjson
import psutil

from executor.supervisor.child import Child, ending
from executor.supervisor.embedded import embedded_valkey
from executor.supervisor.log import Log
from executor.supervisor.probe import HealthProbe
from executor.supervisor.supervisor import Supervisor
from executor.tickets import QUEUES

from .plan import Workload

PATIENCE = 90.0  # seconds for one part to come up
LIMIT = 420.0  # seconds for one run of a workload
PREFIX = "bx-bench-"
PLACE = "/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()  # sockets need short paths
OURS = ("BATCH_", "DATABASE_URL", "REDIS_URL", "DEBUG")  # what the environment says of another installation


class CannotMeasure(Exception):
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


class Ground:
    """Used as a context; what it started is gone when it is left, however it is left."""

    def __init__(self, database: str):
        self.database = database
        self.log = Kept()
        self.supervisor = Supervisor(self.log)

    def __enter__(self) -> Ground:
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
        valkey = embedded_valkey(data)
        valkey.prepare()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.environment = {
            **inherited,
            "BATCH_DATA": str(data),
            "REDIS_URL": valkey.url,
            "DATABASE_URL": f"sqlite:///{data / 'batch.sqlite3'}",
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "batchsite.settings",
        }
        self._start("valkey", valkey.argv)
        if self.database == "postgresql":
            self._start_postgresql()
        self._wait_for(valkey.answers, "valkey")
        self._run("migrate", [sys.executable, "manage.py", "migrate", "--verbosity", "0"], PATIENCE)

    def _start_postgresql(self) -> None:
        folder = self.folder / "pg"
        folder.mkdir()
        self.folder.chmod(0o711)  # PostgreSQL may run as somebody else, who must reach its folder
        self._start("postgresql", [sys.executable, "-m", "executor.benchmark.postgresql", str(folder)])
        self._wait_for(lambda: self.log.lines["postgresql"], "postgresql")
        self.environment["DATABASE_URL"] = self.log.lines["postgresql"][0]

    def _start(self, name: str, argv: list[str], pass_fds=(), **environment: str) -> Child:
        env = {**self.environment, **environment}
        return self.supervisor.start(Child(name, lambda: argv, self.log, env=env, restart=False, pass_fds=pass_fds))

    # --- running ------------------------------------------------------------------------------------

    def start_workers(self, workload: Workload) -> None:
        for number in range(1, workload.workers + 1):
            name = f"worker-{number}"
            argv = [sys.executable, "manage.py", "rqworker", *QUEUES, "--name", f"{name}-{secrets.token_hex(4)}"]
            self._start(name, argv, BATCH_CONCURRENCY=str(workload.concurrency))

    def start_web(self) -> tuple[int, int]:
        """The port and the process of a web server that answers."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        port, fd = listener.getsockname()[1], listener.fileno()
        with listener:
            argv = [sys.executable, "-m", "daphne", "-v", "0", "--fd", str(fd), "batchsite.asgi:application"]
            web = self._start("web", argv, pass_fds=[fd])
        probe = HealthProbe("127.0.0.1", port, "127.0.0.1")
        try:
            self._wait_for(probe.answers, "web")
        finally:
            probe.close()
        return port, web.pid

    def drive(self, workload: Workload, tasks: int, *arguments, show: Callable[[int, int], None]) -> dict:
        """Run the workload once; what it found out."""
        argv = [sys.executable, "-m", "executor.benchmark.driver", workload.name, str(tasks), *map(str, arguments)]
        lines = self.log.lines["driver"]
        lines.clear()
        result: dict = {}

        def read() -> None:
            while lines and lines[0].startswith("{"):
                line = orjson.loads(lines.popleft())
                result.update(line.get("result", {}))
                if "done" in line:
                    show(line["done"], line["of"])

        before = self._cpu_seconds()
        self._run("driver", argv, LIMIT, read)
        read()
        if not result:
            raise CannotMeasure(f"The workload {workload.name} gave no result:\n{self.log.last('driver')}")
        return {**result, "cpu_seconds": round(self._cpu_seconds() - before, 2)}

    def _cpu_seconds(self) -> float:
        """What the servers and workers have used so far: tells the same when others use the machine too."""
        used = 0.0
        for child in self.supervisor.children:
            if child.alive:
                parent = psutil.Process(child.pid)
                for process in (parent, *parent.children(recursive=True)):
                    times = process.cpu_times()
                    used += times.user + times.system
        return used

    def _run(self, name: str, argv: list[str], seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """A process from its start to its end."""
        child = self._start(name, argv)

        def over() -> bool:
            meanwhile()
            return not child.alive

        self._wait_for(over, name, seconds)
        if child.exit_code:
            raise CannotMeasure(f"{name} {ending(child.exit_code)}:\n{self.log.last(name)}")

    def _wait_for(self, condition: Callable[[], object], name: str, seconds: float = PATIENCE) -> None:
        """Until the condition holds; a part that dies meanwhile is told with its last lines."""
        deadline = time.monotonic() + seconds
        while not self.supervisor.wait_for(lambda: bool(condition()), 0.2, every=0.02):
            if self.supervisor.asked_to_stop:
                raise Interrupted
            for child in self.supervisor.children:
                if not child.alive and child.exit_code is not None and child.name not in ("migrate", "driver"):
                    told = self.log.last(child.name)
                    raise CannotMeasure(f"{child.name} {ending(child.exit_code)}:\n{told}")
            if time.monotonic() > deadline:
                raise CannotMeasure(f"{name} took longer than {seconds:g} s:\n{self.log.last(name)}")
