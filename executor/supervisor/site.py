"""The whole product on one machine: Valkey, workers, Daphne, in the order they need each other."""

from __future__ import annotations

import ipaddress
import os
import secrets
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connections

from executor.access import login_link_path, someone_in_charge
from executor.models import WorkerNode
from executor.supervisor.child import Child, ending
from executor.supervisor.embedded import EmbeddedValkey, embedded_valkey
from executor.supervisor.lock import holder, take_lock
from executor.supervisor.log import Log
from executor.supervisor.prepare import ensure_agent_token, ensure_operator, prepare_database
from executor.supervisor.probe import HealthProbe
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


class Site:
    """Read `run` from top to bottom."""

    def __init__(self, wishes: Wishes, data: Path):
        self.wishes = wishes
        self.data = data
        self.log = Log()
        self.supervisor = Supervisor(self.log)
        self.environment = {
            **os.environ,
            "BATCH_DATA": str(data),
            "BATCH_CONCURRENCY": str(wishes.concurrency),
            "BATCH_PORT": str(wishes.port),
            "PYTHONUNBUFFERED": "1",
        }
        self.web: Child | None = None
        self.valkey: Child | None = None
        self.workers: list[Child] = []
        self.worker_names: dict[str, str] = {}

    def run(self) -> None:
        """Until somebody asks to stop. Raises CannotStart."""
        self._locks = [self._take_data_folder()]
        self.listener = self._take_port()
        self.supervisor.listen_to_signals()
        try:
            server = self._start_valkey()
            prepare_database(lambda text: self.log.line("up", text))
            ensure_operator()
            ensure_agent_token(self.data / "agent-token")
            self._start_web()
            if self._wait_for_valkey(server):
                self._start_workers()
                if self._wait_until_ready() and self._fill_demo():
                    self._announce()
                    connections.close_all()
                    self.supervisor.run()
        finally:
            self._stop()

    # --- what nobody else may have ----------------------------------------------------------------

    def _take_data_folder(self) -> int:
        path = self.data / "up.lock"
        lock = take_lock(path)
        if lock is None:
            raise CannotStart(f"`up` is running on {self.data} already (process {holder(path)}).")
        return lock

    def _take_port(self) -> socket.socket:
        """Listen here, and hand the socket to Daphne: nobody can take the port from us, and while Daphne is started
        again connections wait."""
        host, port = self.wishes.host, self.wishes.port
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
        except PermissionError:
            raise CannotStart(f"This user may not listen on port {port}; choose one above 1023.") from None
        except OSError as error:
            if isinstance(error, socket.gaierror):
                raise CannotStart(f"{host!r} is not an address of this machine.") from None
            raise CannotStart(
                f"Cannot listen on {host} port {port}: {os.strerror(error.errno).lower()}. "
                "Another program may have it; choose another with --port."
            ) from None
        return listener

    # --- the parts ------------------------------------------------------------------------------

    def _start_valkey(self) -> EmbeddedValkey | None:
        if os.environ.get("REDIS_URL"):
            return None
        server = embedded_valkey(self.data)
        server.prepare()
        # Valkey inherits the lock: after a kill -9 of ours, its files stay locked until it has written them.
        lock = self._wait_for_lock(server.folder / "lock")
        self._locks.append(lock)
        self.environment["REDIS_URL"] = server.url
        self.log.expect("worker-1")
        self.valkey = self.supervisor.start(
            Child("valkey", lambda: server.argv, self.log, env=self.environment, pass_fds=[lock])
        )
        return server

    def _wait_for_lock(self, path: Path, seconds: float = 10) -> int:
        deadline = time.monotonic() + seconds
        while (lock := take_lock(path)) is None:
            if time.monotonic() > deadline:
                raise CannotStart(f"A Valkey of an earlier run still uses {path.parent} (started by {holder(path)}).")
            time.sleep(0.05)
        return lock

    def _wait_for_valkey(self, server: EmbeddedValkey | None) -> bool:
        if server is None or self.supervisor.wait_for(server.answers, PATIENCE, every=0.02):
            return True
        return self._given_up("Valkey does not answer; see its lines above.")

    def _start_web(self) -> None:
        if self.listener.family == socket.AF_INET:
            fd = self.listener.fileno()
            where, fds = ["--fd", str(fd)], [fd]
        else:  # Daphne can take over IPv4 sockets only
            self.listener.close()
            where, fds = ["-b", self.wishes.host, "-p", str(self.wishes.port)], []
        argv = [sys.executable, "-m", "daphne", "-v", "0", *where, "batchsite.asgi:application"]
        # Daphne has nothing to save: it goes at once when we die, and gives back the port.
        self.web = self.supervisor.start(
            Child("web", lambda: argv, self.log, env=self.environment, death_signal=signal.SIGKILL, pass_fds=fds)
        )

    def _start_workers(self) -> None:
        for number in range(1, self.wishes.workers + 1):
            name = f"worker-{number}"
            child = Child(name, lambda name=name: self._worker_command(name), self.log, env=self.environment)
            self.workers.append(self.supervisor.start(child))

    def _worker_command(self, name: str) -> list[str]:
        """Under a name that was never used: RQ refuses one that it still takes for alive."""
        self.worker_names[name] = f"{name}-{socket.gethostname()[:40]}-{secrets.token_hex(4)}"
        return [sys.executable, "manage.py", "rqworker", *QUEUES, "--name", self.worker_names[name]]

    # --- ready ----------------------------------------------------------------------------------

    def _wait_until_ready(self) -> bool:
        probe = HealthProbe(_reachable(self.wishes.host), self.wishes.port, _own_name())
        try:
            if not self.supervisor.wait_for(probe.answers, PATIENCE):
                return self._given_up("The web server does not answer; see its lines above.")
        finally:
            probe.close()
        if not self.supervisor.wait_for(self._workers_are_active, PATIENCE):
            return self._given_up("The workers did not come up; see their lines above.")
        return True

    def _workers_are_active(self) -> bool:
        names = list(self.worker_names.values())
        return WorkerNode.objects.filter(name__in=names, state=WorkerNode.State.ACTIVE).count() == self.wishes.workers

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
        (self.data / SITE).write_text(near)
        if self.wishes.login_link:
            someone = someone_in_charge()
            if someone:
                self.log.plain(f"login: {near}{login_link_path(someone)}")
            else:
                self.log.plain("login: no user may do everything; `manage.py createsuperuser` makes one")
        self.log.plain(f"agent token: {self.data / 'agent-token'}")
        if not os.environ.get("BATCH_HOSTS") and not _is_loopback(self.wishes.host):
            self.log.plain(
                "hint: other machines can reach this site but it answers only to the names localhost and 127.0.0.1. "
                "Set BATCH_HOSTS to the names people use, for example BATCH_HOSTS=batch.example.org"
            )

    # --- the end --------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Workers first, they still write; then the web; then Valkey, which saves."""
        connections.close_all()
        grace = settings.BATCH_GRACE + 1
        web = [self.web] if self.web else []
        valkey = [self.valkey] if self.valkey else []
        others = [child for child in self.supervisor.children if child not in (*self.workers, *web, *valkey)]
        self.supervisor.stop([(self.workers + others, grace), (web, 2), (valkey, 2)], within=grace + 1.5)
        self.listener.close()
        if self.valkey:
            (self.data / "valkey.sock").unlink(missing_ok=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """An address under which this machine itself reaches the site."""
    return host if host not in ANY_ADDRESS else ("::1" if ":" in host else "127.0.0.1")


def _own_name() -> str:
    """A name that the site answers to."""
    names = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"]
    return names[0] if names else "localhost"
