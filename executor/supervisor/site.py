"""The whole product on one machine: Valkey, workers, Daphne, in the order they need each other."""

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

from executor.supervisor.child import Child, ending
from executor.supervisor.log import Log
from executor.supervisor.probe import HealthProbe, valkey_answers
from executor.supervisor.supervisor import Supervisor

QUEUES = ("critical", "high", "medium", "low")
PATIENCE = 60.0  # seconds for one part to come up
SITE = "site"  # the file in the data folder that says where the site was last
ANY_ADDRESS = ("", "0.0.0.0", "::")


class CannotStart(Exception):
    """A sentence for the person at the terminal."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for on the command line."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 2
    concurrency: int = 20
    login_link: bool = True
    demo: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be started, now that everything is prepared."""

    wishes: Wishes
    data: Path
    redis_url: str
    valkey: list[str]  # how the embedded one is started; empty where another is used
    locks: list[int]  # file descriptors that hold them, for as long as we live; the last one is Valkey's as well
    listener: int | None  # the socket for the web server; None where it has to open one itself
    name: str  # one that the site answers to
    login: str | None  # the path of a login link; empty where nobody could use it, None where it is not wanted
    grace: float  # seconds that running tasks get


class Site:
    """Read `run` from top to bottom. Nothing in here loads Django or a client of Redis: it would be kept for as long as
    the site runs."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.wishes = plan.wishes
        self.log = site_log()
        self.supervisor = Supervisor(self.log)
        self.environment = {
            **os.environ,
            "BATCH_DATA": str(plan.data),
            "BATCH_CONCURRENCY": str(self.wishes.concurrency),
            "BATCH_PORT": str(self.wishes.port),
            "REDIS_URL": plan.redis_url,
            "PYTHONUNBUFFERED": "1",
        }
        self.web: Child | None = None
        self.valkey: Child | None = None
        self.workers: list[Child] = []
        self.worker_names: dict[str, str] = {}
        self._ready = b""
        # Each worker writes its name when it takes tasks. Nobody reads any more once all have come up.
        self._hears, self._tells = os.pipe()
        os.set_blocking(self._hears, False)

    def run(self) -> None:
        """Until somebody asks to stop. Raises CannotStart."""
        self.supervisor.listen_to_signals()
        try:
            self._start_valkey()
            self._start_web()
            if self._wait_for_valkey():
                self._start_workers()
                if self._wait_until_ready() and self._fill_demo():
                    self._announce()
                    self.supervisor.run()
        finally:
            self._stop()

    # --- the parts ------------------------------------------------------------------------------

    def _start_valkey(self) -> None:
        if self.plan.valkey:
            # Valkey inherits its lock: after a kill -9 of ours, its files stay locked until it has written them.
            lock = self.plan.locks[-1:]
            child = Child("valkey", lambda: self.plan.valkey, self.log, env=self.environment, pass_fds=lock)
            self.valkey = self.supervisor.start(child)

    def _wait_for_valkey(self) -> bool:
        answers = partial(valkey_answers, self.plan.redis_url)
        if self.valkey is None or self.supervisor.wait_for(answers, PATIENCE, every=0.02):
            return True
        return self._given_up("Valkey does not answer; see its lines above.")

    def _start_web(self) -> None:
        if self.plan.listener is not None:
            where, fds = ["--fd", str(self.plan.listener)], [self.plan.listener]
        else:
            where, fds = ["-b", self.wishes.host, "-p", str(self.wishes.port)], []
        argv = [sys.executable, "-m", "daphne", "-v", "0", *where, "batchsite.asgi:application"]
        # Daphne has nothing to save: it goes at once when we die, and gives back the port.
        self.web = self.supervisor.start(
            Child("web", lambda: argv, self.log, env=self.environment, death_signal=signal.SIGKILL, pass_fds=fds)
        )

    def _start_workers(self) -> None:
        for number in range(1, self.wishes.workers + 1):
            name = f"worker-{number}"
            command = partial(self._worker_command, name)
            environment = {**self.environment, "BATCH_READY_FD": str(self._tells)}
            child = Child(name, command, self.log, env=environment, pass_fds=[self._tells])
            self.workers.append(self.supervisor.start(child))

    def _worker_command(self, name: str) -> list[str]:
        """Under a name that was never used: RQ refuses one that it still takes for alive."""
        self.worker_names[name] = f"{name}-{socket.gethostname()[:40]}-{secrets.token_hex(4)}"
        return [sys.executable, "-m", "batchsite", "rqworker", *QUEUES, "--name", self.worker_names[name]]

    # --- ready ----------------------------------------------------------------------------------

    def _wait_until_ready(self) -> bool:
        probe = HealthProbe(_reachable(self.wishes.host), self.wishes.port, self.plan.name)
        try:
            if not self.supervisor.wait_for(probe.answers, PATIENCE):
                return self._given_up("The web server does not answer; see its lines above.")
        finally:
            probe.close()
        if not self.supervisor.wait_for(self._workers_take_tasks, PATIENCE):
            return self._given_up("The workers did not come up; see their lines above.")
        os.close(self._hears)
        return True

    def _workers_take_tasks(self) -> bool:
        with suppress(BlockingIOError):
            self._ready += os.read(self._hears, 65536)
        return set(self.worker_names.values()) <= set(self._ready.decode().split())

    def _fill_demo(self) -> bool:
        if not self.wishes.demo:
            return True
        argv = [sys.executable, "-m", "executor.supervisor.demo"]
        environment = {**self.environment, "DJANGO_SETTINGS_MODULE": "batchsite.settings"}
        demo = self.supervisor.start(Child("demo", lambda: argv, self.log, env=environment, restart=False))
        if not self.supervisor.wait_for(lambda: not demo.alive, PATIENCE):
            return self._given_up("The demo batch was not filled in time.")
        if demo.exit_code:
            return self._given_up(f"Filling the demo batch {ending(demo.exit_code)}; see its lines above.")
        return True

    def _given_up(self, why: str) -> bool:
        if not self.supervisor.asked_to_stop:
            raise CannotStart(why)
        return False

    def _announce(self) -> None:
        host = f"[{self.wishes.host}]" if ":" in self.wishes.host else self.wishes.host or "0.0.0.0"
        self.log.plain(f"ready: http://{host}:{self.wishes.port}/")
        near = _reachable(self.wishes.host)
        near = f"http://[{near}]:{self.wishes.port}" if ":" in near else f"http://{near}:{self.wishes.port}"
        (self.plan.data / SITE).write_text(near)
        if self.plan.login:
            self.log.plain(f"login: {near}{self.plan.login}")
        elif self.plan.login is not None:
            self.log.plain("login: no user may do everything; `manage.py createsuperuser` makes one")
        self.log.plain(f"agent token: {self.plan.data / 'agent-token'}")
        if not os.environ.get("BATCH_HOSTS") and not _is_loopback(self.wishes.host):
            self.log.plain(
                "hint: other machines can reach this site but it answers only to the names localhost and 127.0.0.1. "
                "Set BATCH_HOSTS to the names people use, for example BATCH_HOSTS=batch.example.org"
            )

    # --- the end --------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Workers first, they still write; then the web; then Valkey, which saves."""
        grace = self.plan.grace + 1
        web = [self.web] if self.web else []
        valkey = [self.valkey] if self.valkey else []
        others = [child for child in self.supervisor.children if child not in (*self.workers, *web, *valkey)]
        self.supervisor.stop([(self.workers + others, grace), (web, 2), (valkey, 2)], within=grace + 1.5)
        if self.valkey:
            (self.plan.data / "valkey.sock").unlink(missing_ok=True)


def site_log() -> Log:
    """The log of everything, on the terminal."""
    log = Log()
    log.expect("worker-1")
    return log


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """An address under which this machine itself reaches the site."""
    return host if host not in ANY_ADDRESS else ("::1" if ":" in host else "127.0.0.1")
