"""The worker's handle of its fork server, which starts programs for it. Each process that runs programs has its own."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from typing import NamedTuple

from executor.processes.spawning import bare_python

CONTROL_TIMEOUT = 10.0  # seconds


class _Server(NamedTuple):
    owner: int  # pid of the process that started it: a fork inherits this record and needs its own server
    process: subprocess.Popen
    control: socket.socket


_lock = threading.Lock()
_server: _Server | None = None


def submit_run(connection: socket.socket, output: int, errors: int) -> None:
    """Pass a run's connection and outputs to the server; start the server if there is none. Raises OSError."""
    descriptors = [connection.fileno(), output, errors]
    try:
        socket.send_fds(_control(), [b"r"], descriptors)
    except OSError:
        stop()  # the server was killed
        socket.send_fds(_control(), [b"r"], descriptors)


def pid() -> int | None:
    """Return the pid of this process's server; None if there is none or it has ended."""
    if _server is None or _server.owner != os.getpid() or _server.process.poll() is not None:
        return None
    return _server.process.pid


def start() -> None:
    """Start the server ahead of the first program. Raises OSError."""
    _control()


def stop() -> None:
    """End this process's server, if there is one. Runs in progress continue to their end."""
    global _server
    with _lock:
        if _server is None:
            return
        owner, process, control = _server
        _server = None
        control.close()
        if owner == os.getpid():
            process.wait()


def _control() -> socket.socket:
    global _server
    with _lock:
        if _server is None or pid() is None:
            ours, theirs = socket.socketpair()
            with theirs:
                process = subprocess.Popen(
                    bare_python("executor.sandbox.jail.fork_server", str(theirs.fileno())),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    cwd="/",
                    env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                    start_new_session=True,  # no signals of the worker's group: it ends when the control socket closes
                )
            ours.settimeout(CONTROL_TIMEOUT)
            _server = _Server(os.getpid(), process, ours)
        return _server.control
