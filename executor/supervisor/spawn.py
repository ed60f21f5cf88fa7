"""Starting a child process that cannot outlive us."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Loaded here: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def spawn(
    argv: Sequence[str | os.PathLike],
    *,
    env: dict[str, str] | None = None,
    death_signal: int = signal.SIGKILL,
    **popen,
) -> subprocess.Popen:
    """Start a program in a session of its own. When we die, however we die, the kernel sends it `death_signal`.

    (Only Linux can do the latter. The signal also comes when the thread that started the child ends, so call this
    from the main thread.)
    """
    parent = os.getpid()

    def tie_to_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return subprocess.Popen(
        argv,
        env=env,
        cwd=popen.pop("cwd", PROJECT),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=tie_to_parent if _libc else None,
        **popen,
    )


def adopt_orphans() -> None:
    """From now on processes that our children leave behind become our children, so that we can end them."""
    if _libc:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_group(pid: int, signum: int = signal.SIGKILL) -> None:
    """Signal a child and what it started within its session."""
    try:
        os.killpg(pid, signum)
    except (ProcessLookupError, PermissionError):
        pass  # ended already; macOS says "not permitted" of a group of zombies
