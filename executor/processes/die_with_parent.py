"""Command wrapper: run a program that ends with the wrapper's parent, however the parent ends.

Start the wrapper as the leader of a session: it kills its whole process group, and so the program with everything that
the program started there, when the parent ends, on SIGTERM, and when the program ends.
"""

from __future__ import annotations

import os
import signal
import time

from .groups import kill_group
from .linux import LINUX, die_with_parent

POLL_INTERVAL = 0.2  # seconds
NOT_STARTED = 127  # exit code, as of a shell


def main(command: list[str]) -> None:
    """Run the command and do not return, except when the parent has ended already."""
    parent = os.getppid()
    signal.signal(signal.SIGTERM, _end)
    if not die_with_parent(parent, signal.SIGTERM) or parent == 1:  # 1: the parent ended before this line
        return
    child = os.fork()
    if not child:
        _execute(command)
    while True:
        if os.waitpid(child, 0 if LINUX else os.WNOHANG)[0]:
            _end()
        if os.getppid() != parent:
            _end()
        time.sleep(POLL_INTERVAL)


def _execute(command: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(NOT_STARTED)


def _end(*_: object) -> None:
    kill_group(0)
