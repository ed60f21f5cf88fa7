"""The product on one machine: Valkey, workers and Daphne, started in the order they need each other."""

from __future__ import annotations

import ipaddress
import os
import secrets
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from executor.broker.tickets import QUEUES
from executor.processes.layout import COMMAND
from executor.supervisor.child import Child, describe_exit
from executor.supervisor.health_probe import HealthProbe
from executor.supervisor.log import Log
from executor.supervisor.supervisor import Supervisor
from executor.supervisor.valkey import EmbeddedValkey

START_TIMEOUT = 60.0  # seconds for each part
SITE_FILE = "site"  # in the data folder: the address of the last start
ANY_ADDRESS = ("", "0.0.0.0", "::")


class StartupError(Exception):
    """A reason why the site cannot start, as a sentence for the terminal."""


@dataclass(frozen=True)
class UpOptions:
    """The options of `manage.py up`."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    concurrency: int = 20
    login_link: bool = True
    demo: bool = False


@dataclass(frozen=True)
class Plan:
    """A prepared site."""

    options: UpOptions
    data: Path
    redis_url: str
    valkey: EmbeddedValkey | None  # None with another server
    lock: int  # file descriptor, held as long as this process lives
    valkey_lock: int | None  # file descriptor
    listener: int | None  # the web server's socket; None where Daphne must open it
    host_name: str  # one of ALLOWED_HOSTS
    login_path: str | None  # "" without an active superuser, None when no link is wanted
    grace_period: float  # seconds


class Site:
    """The processes of a site. `run` shows their order."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.options = plan.options
        self.log = site_log()
        self.supervisor = Supervisor(self.log)
        self.environment = {
            **os.environ,
            "BATCH_DATA": str(plan.data),
            "BATCH_CONCURRENCY": str(self.options.concurrency),
            "BATCH_PORT": str(self.options.port),
            "REDIS_URL": plan.redis_url,
            "PYTHONUNBUFFERED": "1",
        }
        self.web: Child | None = None
        self.valkey: Child | None = None
        self.workers: list[Child] = []
        self.worker_names: dict[str, str] = {}
        self._ready = b""
        # Each worker writes its name to this pipe when it starts to accept tasks.
        self._ready_read, self._ready_write = os.pipe()
        os.set_blocking(self._ready_read, False)

    def run(self) -> None:
        """Run the site until a stop request.

        Raises StartupError.
        """
        self.supervisor.install_signal_handlers()
        try:
            self._start_valkey()
            self._start_web()
            if self._wait_for_valkey():
                self._start_workers()
                if self._wait_until_ready() and self._add_demo_batch():
                    self._announce()
                    self.supervisor.run()
        finally:
            self._stop()

    # --- the parts ------------------------------------------------------------------------------

    def _start_valkey(self) -> None:
        if self.plan.valkey is not None and self.plan.valkey_lock is not None:
            argv = self.plan.valkey.argv
            # Valkey inherits its lock: when this process is killed, the files stay locked until Valkey has saved them.
            child = Child("valkey", lambda: argv, self.log, env=self.environment, pass_fds=[self.plan.valkey_lock])
            self.valkey = self.supervisor.start(child)

    def _wait_for_valkey(self) -> bool:
        valkey = self.plan.valkey
        if valkey is None or self.supervisor.wait_for(valkey.answers, START_TIMEOUT, poll_interval=0.02):
            return True
        return self._fail("Valkey does not answer; see its lines above.")

    def _start_web(self) -> None:
        if self.plan.listener is not None:
            address, fds = ["--fd", str(self.plan.listener)], [self.plan.listener]
        else:
            address, fds = ["-b", self.options.host, "-p", str(self.options.port)], []
        argv = [sys.executable, "-m", "daphne", "-v", "0", *address, "batchsite.asgi:application"]
        # Daphne has nothing to save: it is killed with this process, and frees the port at once.
        self.web = self.supervisor.start(
            Child("web", lambda: argv, self.log, env=self.environment, death_signal=signal.SIGKILL, pass_fds=fds)
        )

    def _start_workers(self) -> None:
        for number in range(1, self.options.workers + 1):
            name = f"worker-{number}"
            command = partial(self._worker_command, name)
            environment = {**self.environment, "BATCH_READY_FD": str(self._ready_write)}
            child = Child(name, command, self.log, env=environment, pass_fds=[self._ready_write])
            self.workers.append(self.supervisor.start(child))

    def _worker_command(self, name: str) -> list[str]:
        """Return the command with a new worker name: RQ rejects the name of a worker that it still believes alive."""
        self.worker_names[name] = f"{name}-{socket.gethostname()[:40]}-{secrets.token_hex(4)}"
        return [sys.executable, "-m", "batchsite", "rqworker", *QUEUES, "--name", self.worker_names[name]]

    # --- ready ----------------------------------------------------------------------------------

    def _wait_until_ready(self) -> bool:
        probe = HealthProbe(_reachable(self.options.host), self.options.port, self.plan.host_name)
        try:
            if not self.supervisor.wait_for(probe.is_healthy, START_TIMEOUT):
                return self._fail("The web server does not answer; see its lines above.")
        finally:
            probe.close()
        if not self.supervisor.wait_for(self._workers_are_ready, START_TIMEOUT):
            return self._fail("The workers did not start in time; see their lines above.")
        os.close(self._ready_read)
        return True

    def _workers_are_ready(self) -> bool:
        with suppress(BlockingIOError):
            self._ready += os.read(self._ready_read, 65536)
        return set(self.worker_names.values()) <= set(self._ready.decode().split())

    def _add_demo_batch(self) -> bool:
        if not self.options.demo:
            return True
        argv = [sys.executable, "-m", "executor.supervisor.demo"]
        demo = self.supervisor.start(Child("demo", lambda: argv, self.log, env=self.environment, restart=False))
        if not self.supervisor.wait_for(lambda: not demo.alive, START_TIMEOUT):
            return self._fail("The demo batch was not added in time.")
        if demo.exit_code:
            return self._fail(f"The program that adds the demo batch {describe_exit(demo.exit_code)}; see above.")
        return True

    def _fail(self, reason: str) -> bool:
        """Raise StartupError, unless a stop request is the reason."""
        if not self.supervisor.stop_requests:
            raise StartupError(reason)
        return False

    def _announce(self) -> None:
        host, port = self.options.host, self.options.port
        self.log.plain(f"ready: {_url(host or '0.0.0.0', port)}/")
        local = _url(_reachable(host), port)
        (self.plan.data / SITE_FILE).write_text(local)
        if self.plan.login_path:
            self.log.plain(f"login: {local}{self.plan.login_path}")
        elif self.plan.login_path is not None:
            self.log.plain(f"login: there is no superuser; `{COMMAND} createsuperuser` creates one")
        self.log.plain(f"agent token: {self.plan.data / 'agent-token'}")
        if not os.environ.get("BATCH_HOSTS") and not _is_loopback(host):
            self.log.plain(
                "hint: other machines can connect, but the site accepts only the names localhost and 127.0.0.1. "
                "Set BATCH_HOSTS to the names that people use, for example BATCH_HOSTS=batch.example.org"
            )

    # --- the end --------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Stop the workers first, which still write to the others; then the web server; then Valkey, which saves."""
        grace_period = self.plan.grace_period + 1
        web = [self.web] if self.web else []
        valkey = [self.valkey] if self.valkey else []
        others = [child for child in self.supervisor.children if child not in (*self.workers, *web, *valkey)]
        phases = [(self.workers + others, grace_period), (web, 2), (valkey, 2)]
        self.supervisor.stop(phases, timeout=grace_period + 1.5)
        if self.valkey:
            (self.plan.data / "valkey.sock").unlink(missing_ok=True)


def site_log() -> Log:
    """Return the log of all processes, on standard output."""
    log = Log()
    log.reserve_prefix("worker-1")
    return log


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """Return an address under which this machine reaches the site."""
    return host if host not in ANY_ADDRESS else ("::1" if ":" in host else "127.0.0.1")


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
