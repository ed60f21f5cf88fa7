"""The fork server: it forks one monitor for each run that the worker submits.

It has a single thread and little memory, so that forking it is safe and fast; neither holds for the worker.
"""

from __future__ import annotations

import gc
import os
import signal
import socket

from . import seccomp, syscalls
from .monitor import monitor


def main(arguments: list[str]) -> None:
    """Serve the control socket whose descriptor is the only argument."""
    (descriptor,) = arguments
    serve(int(descriptor))


def serve(descriptor: int) -> None:
    """Fork monitors until the worker closes its end.

    A message is one byte with three descriptors: the run's connection, its standard output and error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the monitors
    if syscalls.architecture() in seccomp.AUDIT:
        seccomp.program(seccomp.Policy(), syscalls.architecture())  # cached here, inherited by every fork
    gc.disable()
    gc.freeze()
    with socket.socket(fileno=descriptor) as control:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 3)
            if not message:
                return
            try:
                if len(descriptors) == 3 and os.fork() == 0:
                    _run_monitor(control, *descriptors)
            except OSError:
                pass  # fork failed: the worker finds the run's connection closed
            for received in descriptors:
                os.close(received)


def _run_monitor(control: socket.socket, connection: int, output: int, errors: int) -> None:
    try:
        control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        monitor(socket.socket(fileno=connection), output, errors)
    finally:
        os._exit(0)
