"""Imported once by the server process that children are forked from, so that they start with Django loaded."""

import atexit
import gc
import os
import signal
from importlib import import_module

import django
import psutil


def _end_children() -> None:
    """Kill every child with its group: the server ends when its worker has ended, however that happened."""
    for child in psutil.Process().children():
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended, or has no group yet; then the kernel ends it with this process


# A SIGTERM for the worker's whole group must not take the children away under running tasks.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
django.setup()
import_module("executor.worker.child")
gc.freeze()  # a collection in a child would copy the pages that all children share
atexit.register(_end_children)  # not run in children, which end by os._exit
