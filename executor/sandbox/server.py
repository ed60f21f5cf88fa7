"""The worker's hold on its server process, which starts programs for it. One for each process that runs programs."""

from __future__ import annotations

import os
import socket
import subprocess
import threading

from executor.processes.spawning import bare_python

_lock = threading.Lock()
_server: tuple[int, subprocess.Popen, socket.socket] | None = None  # the pid it belongs to comes first


def hand_over(line: socket.socket, output: int, errors: int) -> None:
    """Give a run's line and outputs to the server, which is started when there is none. Raises OSError."""
    descriptors = [line.fileno(), output, errors]
    try:
        socket.send_fds(_control(), [b"r"], descriptors)
    except OSError:
        stop()  # somebody killed it
        socket.send_fds(_control(), [b"r"], descriptors)


def running() -> bool:
    """Whether this process has one that lives."""
    return _server is not None and _server[0] == os.getpid() and _server[1].poll() is None


def start() -> None:
    """Have it ready before the first program. Raises OSError."""
    _control()


def stop() -> None:
    """End it, if this process has one. What runs goes on to its end."""
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
        if not running():  # a fork has its parent's, and needs its own
            ours, theirs = socket.socketpair()
            with theirs:
                process = subprocess.Popen(
                    bare_python("executor.sandbox.jail.serve", str(theirs.fileno())),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    cwd="/",
                    env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                    start_new_session=True,  # signals for the worker's group are not for it: it ends with the line
                )
            ours.settimeout(10)
            _server = (os.getpid(), process, ours)
        return _server[2]
