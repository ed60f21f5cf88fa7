"""Run a program that ends together with whoever started us, however that went: `python tied.py COMMAND ARGS…`.

Started as the leader of a session of its own. The program and all that it started within this session are killed when
our parent has gone, when we are told to end, and when the program itself has ended. Knows nothing but the standard
library, so that it starts in a few milliseconds.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
NOT_STARTED = 127


def main(command: list[str]) -> None:
    parent = os.getppid()
    signal.signal(signal.SIGTERM, _end)
    on_linux = sys.platform == "linux"
    if on_linux:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:  # it died before the line above
        return
    child = os.fork()
    if not child:
        _become(command)
    while True:
        if os.waitpid(child, 0 if on_linux else os.WNOHANG)[0]:
            _end()
        if os.getppid() != parent:
            _end()
        time.sleep(0.2)


def _become(command: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    os._exit(NOT_STARTED)


def _end(*_) -> None:
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
