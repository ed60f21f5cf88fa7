"""Process control by prctl(2), for which Python has no function. Only Linux has it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

LINUX = sys.platform == "linux"

# Loaded at import: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


def prctl(option: int, argument: int = 0, third: int = 0) -> None:
    """Call prctl(2). Raises OSError, also on a system without it."""
    if _libc is None:
        raise OSError("prctl exists on Linux only")
    arguments = [ctypes.c_ulong(each) for each in (argument, third, 0, 0)]
    if _libc.prctl(ctypes.c_int(option), *arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def set_death_signal(signum: int = signal.SIGKILL) -> None:
    """Have the kernel send this process `signum` when its parent ends. Does nothing on other systems.

    "Parent" is the thread that forked: the signal is also sent when that thread ends. The kernel forgets the setting
    when the process changes its user or executes a set-user-id program.
    """
    if LINUX:
        prctl(PR_SET_PDEATHSIG, int(signum))


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> bool:
    """Call `set_death_signal` for the parent with this pid; return False if it has ended already."""
    set_death_signal(signum)
    return os.getppid() == parent  # it may have ended before the line above


def become_subreaper() -> None:
    """Adopt the orphaned descendants of this process, so that it can end them. Does nothing on other systems."""
    if LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
