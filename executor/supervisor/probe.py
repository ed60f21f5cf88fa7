"""Asking servers whether they answer, in so few lines that nobody who asks has to load their clients."""

import socket
import time
from urllib.parse import urlsplit

PAUSE = 1.0  # seconds before a server that answered with an error is asked again


class HealthProbe:
    """Asks the web server without ever waiting for it: `answers()` is asked again and again until it says True. One
    connection waits in the listening socket's queue until the server takes it; it is not made anew for every look."""

    def __init__(self, host: str, port: int, name: str):
        self._address = (host, port)
        self._request = f"GET /healthz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
        self._connection: socket.socket | None = None
        self._not_before = 0.0

    def answers(self) -> bool:
        if time.monotonic() < self._not_before:
            return False
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._address, timeout=0.2)
                self._connection.sendall(self._request)
                self._connection.setblocking(False)
            answer = self._connection.recv(64)
        except BlockingIOError:
            return False
        except OSError:  # nobody listens yet, or the server died with our question
            self.close()
            return False
        self.close()
        self._not_before = time.monotonic() + PAUSE
        return answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def valkey_answers(url: str) -> bool:
    """Whether the Valkey at `unix://PATH` or `redis://:PASSWORD@127.0.0.1:PORT` takes commands; not yet while it reads
    its log."""
    place = urlsplit(url)
    unix = place.scheme == "unix"
    try:
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as server:
            server.settimeout(1)
            server.connect(url.removeprefix("unix://") if unix else (place.hostname, place.port))
            answers = server.makefile("rb")
            if place.password:
                server.sendall(f"AUTH {place.password}\r\n".encode())
                answers.readline()
            server.sendall(b"PING\r\n")
            return answers.readline() == b"+PONG\r\n"
    except OSError:
        return False
