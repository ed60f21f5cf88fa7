"""What `up` does before there is anything to supervise: takes what nobody else may have, prepares the database, and
then goes on as the supervisor."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

from django.conf import settings
from django.db import connections

from executor.access import login_link_path, someone_in_charge
from executor.processes.layout import PROJECT
from executor.supervisor.embedded import embedded_valkey
from executor.supervisor.lock import holder, take_lock
from executor.supervisor.prepare import ensure_agent_token, ensure_operator, prepare_database
from executor.supervisor.site import CannotStart, Plan, Wishes, site_log


def open_site(wishes: Wishes, data: Path) -> Plan:
    """Take the data folder and the port, and bring the database up to date.

    Raises CannotStart.
    """
    locks = [_take_data_folder(data)]
    listener = _take_port(wishes.host, wishes.port)
    redis_url, valkey = settings.REDIS_URL, []
    if not os.environ.get("REDIS_URL"):
        server = embedded_valkey(data)
        server.prepare()
        locks.append(_wait_for_lock(server.folder / "lock"))
        redis_url, valkey = server.url, server.argv
    prepare_database(lambda text: site_log().line("up", text))
    ensure_operator()
    ensure_agent_token(data / "agent-token")
    return Plan(
        wishes, data, redis_url, valkey, locks, listener, _own_name(), _login(wishes), grace=settings.BATCH_GRACE
    )


def become_supervisor(plan: Plan) -> NoReturn:
    """Go on in this very process, but without Django, which is 50 MB that the supervisor has no use for. The process
    number, the locks and the listening socket stay what they are."""
    connections.close_all()
    plan_fd, fill_fd = os.pipe()
    os.write(fill_fd, pickle.dumps(plan))  # less than a pipe holds; an argument could be read by others
    for fd in (plan_fd, *plan.locks, *([] if plan.listener is None else [plan.listener])):
        os.set_inheritable(fd, True)
    os.chdir(PROJECT)
    # What was typed comes along for those who look for it among the processes.
    os.execv(sys.executable, [sys.executable, "-m", "executor.supervisor", str(plan_fd), *sys.argv])


def _take_data_folder(data: Path) -> int:
    path = data / "up.lock"
    lock = take_lock(path)
    if lock is None:
        raise CannotStart(f"`up` is running on {data} already (process {holder(path)}).")
    return lock


def _take_port(host: str, port: int) -> int | None:
    """Listen here, and leave the socket to Daphne: nobody can take the port from us, and while Daphne is started again
    connections wait. None where Daphne cannot take it over: it does so with IPv4 alone."""
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
    if family == socket.AF_INET:
        return listener.detach()
    listener.close()
    return None


def _wait_for_lock(path: Path, seconds: float = 10) -> int:
    deadline = time.monotonic() + seconds
    while (lock := take_lock(path)) is None:
        if time.monotonic() > deadline:
            raise CannotStart(f"A Valkey of an earlier run still uses {path.parent} (started by {holder(path)}).")
        time.sleep(0.05)
    return lock


def _own_name() -> str:
    """A name that the site answers to."""
    names = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"]
    return names[0] if names else "localhost"


def _login(wishes: Wishes) -> str | None:
    if not wishes.login_link:
        return None
    someone = someone_in_charge()
    return login_link_path(someone) if someone else ""
