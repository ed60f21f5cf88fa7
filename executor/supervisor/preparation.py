"""Preparation of a site: locks, port, database, first user and token."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from django.conf import settings
from django.db import connections

from executor.access import default_operator, login_link_path
from executor.supervisor.database import ensure_agent_token, ensure_operator, migrate_database
from executor.supervisor.lock import lock_holder, take_lock
from executor.supervisor.site import Plan, StartupError, UpOptions, site_log
from executor.supervisor.valkey import EmbeddedValkey, embedded_valkey

VALKEY_LOCK_TIMEOUT = 10.0  # seconds for the Valkey of a killed supervisor to write its files


def prepare(options: UpOptions, data: Path) -> Plan:
    """Lock the data folder, open the port, and bring the database up to date.

    Raises StartupError.
    """
    lock = _lock_data_folder(data)
    listener = _open_port(options.host, options.port)
    valkey, valkey_lock = None, None
    if not os.environ.get("REDIS_URL"):
        valkey = embedded_valkey(data)
        valkey.prepare()
        valkey_lock = _lock_valkey_folder(valkey)
    migrate_database(lambda text: site_log().line("up", text))
    ensure_operator()
    ensure_agent_token(data / "agent-token")
    plan = Plan(
        options=options,
        data=data,
        redis_url=settings.REDIS_URL if valkey is None else valkey.url,
        valkey=valkey,
        lock=lock,
        valkey_lock=valkey_lock,
        listener=listener,
        host_name=_own_host_name(),
        login_path=_login_path(options),
        grace_period=settings.BATCH_GRACE,
    )
    connections.close_all()
    return plan


def _lock_data_folder(data: Path) -> int:
    path = data / "up.lock"
    lock = take_lock(path)
    if lock is None:
        raise StartupError(f"`up` already runs on {data} (process {lock_holder(path)}).")
    return lock


def _open_port(host: str, port: int) -> int | None:
    """Return a listening socket for Daphne; None for IPv6, which Daphne's `--fd` does not support.

    The port stays taken, and connections wait, while Daphne restarts.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except PermissionError:
        raise StartupError(f"This user may not listen on port {port}; choose a port above 1023.") from None
    except OSError as error:
        if isinstance(error, socket.gaierror):
            raise StartupError(f"{host!r} is not an address of this machine.") from None
        raise StartupError(
            f"Cannot listen on {host} port {port}: {os.strerror(error.errno or 0).lower()}. "
            "Another program may use it; choose another port with --port."
        ) from None
    if family == socket.AF_INET:
        return listener.detach()
    listener.close()
    return None


def _lock_valkey_folder(valkey: EmbeddedValkey) -> int:
    path = valkey.folder / "lock"
    deadline = time.monotonic() + VALKEY_LOCK_TIMEOUT
    while (lock := take_lock(path)) is None:
        if time.monotonic() > deadline:
            raise StartupError(f"A Valkey of an earlier run still uses {path.parent} (process {lock_holder(path)}).")
        time.sleep(0.05)
    return lock


def _own_host_name() -> str:
    names = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"]
    return names[0] if names else "localhost"


def _login_path(options: UpOptions) -> str | None:
    if not options.login_link:
        return None
    user = default_operator()
    return login_link_path(user) if user else ""
