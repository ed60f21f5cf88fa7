"""The server process: for every run that the worker hands over it forks a keeper.

It has one thread and little memory, so a fork of it is quick and safe, which one of the worker would not be.
"""

from __future__ import annotations

import gc
import os
import signal
import socket

from . import seccomp, system
from .keeper import keep


def main(arguments: list[str]) -> None:
    """Serve the socket with this descriptor."""
    (descriptor,) = arguments
    serve(int(descriptor))


def serve(descriptor: int) -> None:
    """Fork keepers until the worker closes its end. A message is one byte with three descriptors: line, output,
    errors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are collected by the kernel
    if system.architecture() in seccomp.AUDIT:
        seccomp.program(seccomp.Policy(), system.architecture())  # made once; the forks inherit it
    gc.disable()
    gc.freeze()
    with socket.socket(fileno=descriptor) as control:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 3)
            if not message:
                return
            try:
                if len(descriptors) == 3 and os.fork() == 0:
                    _keep(control, *descriptors)
            except OSError:
                pass  # no process to be had: the worker finds its line closed
            for one in descriptors:
                os.close(one)


def _keep(control: socket.socket, line: int, output: int, errors: int) -> None:
    try:
        control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        keep(socket.socket(fileno=line), output, errors)
    finally:
        os._exit(0)
