"""The child process that runs plain functions, one call after another, until it is killed.

It is forked from a server process that has Django loaded and nothing else running, and dies with it. Calls and answers
are JSON messages (executor/processes/framing.py).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any, BinaryIO

import orjson
from django.db import close_old_connections

from executor.db.failpoints import failpoint
from executor.functions import TaskContext, lookup
from executor.processes.framing import messages, pack
from executor.processes.linux import set_death_signal

from .failures import failure_of
from .reporter import TEXT_CHARACTERS
from .results import encode


def serve(connection: Connection) -> None:
    """Answer calls until the other end is closed. `connection` is one over a socket."""
    os.setsid()  # the worker kills this group with all processes that the function started
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_death_signal()
    _release_forkserver()
    with (
        open(os.dup(connection.fileno()), "rb", buffering=0) as calls,
        open(os.dup(connection.fileno()), "wb") as answers,
    ):
        connection.close()
        channel = CallChannel(answers)
        for body in messages(lambda size: calls.read(size) or b""):
            channel.send(_answer(orjson.loads(body), channel))


class CallChannel:
    """The child's end of the connection: it sends answers, and as a Sink the log and progress of the running call."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message. May be called from any thread."""
        data = pack(orjson.dumps(message))
        with self._lock:
            self._stream.write(data)
            self._stream.flush()

    def log(self, text: str) -> None:
        """See Sink."""
        self.send({"log": str(text).encode("utf-8", "backslashreplace").decode()})

    def progress(self, done: float, total: float | None, text: str) -> None:
        """See Sink."""
        value = [float(done), None if total is None else float(total), str(text)[:TEXT_CHARACTERS]]
        self.send({"progress": value})

    def redactor(self) -> None:
        """Return None: the worker, which receives everything, redacts it."""


def _release_forkserver() -> None:
    """Close this child's end of the pipe by which the fork server notices that its worker has ended.

    Every child inherits one, and would keep the server, and so itself, alive after the worker was killed.
    """
    # Private, for want of a public way: multiprocessing never closes it in a child. tests/process/test_worker_code.py
    # kills a worker and notices a server that stays.
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None


def _answer(call: dict[str, Any], channel: CallChannel) -> Mapping[str, Any]:
    try:
        function = lookup(call["function"])
        context = TaskContext(**call["context"], sink=channel)
        failpoint("mid-work")
        return {"result": encode(function.call(**function.arguments(call["params"], context)))}
    except BaseException as error:
        return failure_of(error)
    finally:
        close_old_connections()  # a connection that is kept is checked before its next use
