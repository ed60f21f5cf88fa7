"""Processes of the product, started for a test: workers and the web server."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from executor.processes.groups import kill_group
from executor.processes.spawning import PROJECT, spawn
from tests.support.waiting import TIMEOUT, eventually

QUEUES = ("critical", "high", "medium", "low")


class RunningProcess:
    """A child process with its log. Its fixture calls `end` after the test."""

    def __init__(self, name: str, argv: list[str], *, env: dict[str, str], folder: Path, pass_fds=()):
        self.name = name
        self.log_path = folder / f"{name}.log"
        with open(self.log_path, "ab") as log:
            self.process: subprocess.Popen = spawn(argv, env=env, stdout=log, stderr=log, pass_fds=pass_fds)
        self.pid = self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def pause(self) -> None:
        """Suspend it and its children of the same session, as a sleeping laptop does."""
        kill_group(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        kill_group(self.pid, signal.SIGCONT)

    def terminate(self, timeout: float | None = TIMEOUT) -> int | None:
        """Send SIGTERM and wait for the end; with `timeout=None` do not wait."""
        self.process.send_signal(signal.SIGTERM)
        return None if timeout is None else self.process.wait(timeout)

    def kill(self) -> None:
        """Send SIGKILL to this process alone: its children must end without help."""
        self.process.kill()
        self.process.wait(TIMEOUT)

    def end(self) -> None:
        kill_group(self.pid)
        self.process.wait(TIMEOUT)

    def wait_until(self, condition, *, timeout: float = TIMEOUT, what: str) -> None:
        def ready():
            if not self.alive:
                raise RuntimeError(f"{self.name} ended with code {self.process.returncode}:\n{self.log[-4000:]}")
            return condition()

        try:
            eventually(ready, timeout=timeout, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- log of {self.name}:\n{self.log[-4000:]}") from None


class RunningWorker(RunningProcess):
    """`manage.py rqworker critical high medium low`; `node()` is its row in the database."""

    def __init__(self, *, env: dict[str, str], folder: Path, concurrency: int, queues=QUEUES):
        self.worker_name = f"worker-{secrets.token_hex(4)}"
        argv = [sys.executable, "manage.py", "rqworker", *queues, "--name", self.worker_name]
        env = {**env, "BATCH_CONCURRENCY": str(concurrency), "TEST_WORKER": self.worker_name}
        super().__init__(self.worker_name, argv, env=env, folder=folder)

    def node(self):
        from executor.models import WorkerNode

        return WorkerNode.objects.filter(name=self.worker_name).first()

    def wait_until_active(self, timeout: float = TIMEOUT) -> None:
        self.wait_until(
            lambda: (node := self.node()) and node.state == "active",
            timeout=timeout,
            what=f"{self.worker_name} has an active WorkerNode",
        )

    def wait_for_heartbeat(self) -> None:
        """Wait until the worker has sent another heartbeat."""
        last = self.node().heartbeat_at
        self.wait_until(lambda: self.node().heartbeat_at > last, what=f"another heartbeat of {self.worker_name}")


class RunningWeb(RunningProcess):
    """Daphne on a port that the kernel chose. It inherits the open socket: no other process can take the port."""

    def __init__(self, application: str = "batchsite.asgi:application", *, env: dict[str, str], folder: Path):
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fd = listener.fileno()
        argv = [sys.executable, "-m", "daphne", "--fd", str(fd), application]
        with listener:
            super().__init__("web", argv, env=env, folder=folder, pass_fds=(fd,))

    def wait_until_answering(self, timeout: float = TIMEOUT) -> None:
        self.wait_until(lambda: status_of(f"{self.url}/healthz") == 200, timeout=timeout, what="/healthz answers")


def status_of(url: str, timeout: float = 1) -> int | None:
    """Return the HTTP status of a URL; None without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def processes_of_session(pid: int) -> list[int]:
    """Return the living processes of the session that `pid` leads."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getsid(int(entry.name)) == pid:
                    found.append(int(entry.name))
            except (ProcessLookupError, PermissionError):
                pass
    return found


def clean_environment() -> dict[str, str]:
    """Return the environment without the settings of this test run."""
    ours = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")
    return {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("BATCH_")}


def free_port() -> int:
    """Return a TCP port on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def manage(*words: str, env: dict[str, str], timeout: float = 60) -> subprocess.CompletedProcess:
    """Run `manage.py WORDS` to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )
