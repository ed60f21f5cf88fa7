"""Imported once by the server process that the children are forked from: they start with Django loaded."""

import atexit
import gc
import os
import signal
from importlib import import_module

import django
import psutil


def _end_children() -> None:
    """The server ends when its worker has gone, however that went. Each child leads a group: what it started goes
    with it."""
    for child in psutil.Process().children():
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended, or has not made its group yet; then the kernel ends it with us


# A SIGTERM for the worker's whole group must not take the children away under running tasks.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
django.setup()
import_module("executor.worker.child")
gc.freeze()  # so that no child's look for garbage makes copies of what all of them share
atexit.register(_end_children)  # children themselves end without this: they are forks that call os._exit
