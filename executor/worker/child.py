"""The child process that runs plain functions, one call after another, until it is killed.

It is forked from a server process that has Django loaded and nothing else running, and dies with it. Calls and answers
are JSON behind their length in four bytes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import threading
from multiprocessing import forkserver
from typing import BinaryIO

import orjson
from django.db import close_old_connections

from executor.db.failpoints import failpoint
from executor.functions import TaskContext, lookup

from .results import encode, failure_of

HEADER = struct.Struct("!I")
_PR_SET_PDEATHSIG = 1


def serve(connection) -> None:
    """Answer calls until the other end is closed. `connection` is a multiprocessing Connection over a socket."""
    os.setsid()  # the worker kills this group: what the function started goes with it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _let_server_go()
    with open(os.dup(connection.fileno()), "rb") as calls, open(os.dup(connection.fileno()), "wb") as answers:
        connection.close()
        line = Line(answers)
        while header := calls.read(HEADER.size):
            call = orjson.loads(calls.read(HEADER.unpack(header)[0]))
            line.send(_answer(call, line))


class Line:
    """The way back to the worker; also where log lines and progress of the running call go."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: dict) -> None:
        data = orjson.dumps(message)
        with self._lock:
            self._stream.write(HEADER.pack(len(data)) + data)
            self._stream.flush()

    def log(self, text: str) -> None:
        self.send({"log": str(text).encode("utf-8", "backslashreplace").decode()})

    def progress(self, done: float, total: float | None, text: str) -> None:
        self.send({"progress": [float(done), None if total is None else float(total), str(text)[:200]]})

    def redactor(self) -> None:
        return None  # the worker, which hears all of it, hides what must be hidden


def _let_server_go() -> None:
    """Close our end of the pipe by which the server knows that somebody needs it. Every child is given one, and would
    keep the server, and so itself, alive after the worker was killed."""
    server = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None


def _answer(call: dict, line: Line) -> dict:
    try:
        function = lookup(call["function"])
        context = TaskContext(**call["context"], sink=line)
        failpoint("mid-work")
        return {"result": encode(function.call(**function.arguments(call["params"], context)))}
    except BaseException as error:
        return failure_of(error)
    finally:
        close_old_connections()  # one that is kept is looked at again before it is next used
