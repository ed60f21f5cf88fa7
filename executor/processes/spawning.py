"""Start of child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from .layout import PACKAGES, PROJECT
from .linux import LINUX, die_with_parent

_RUN_MAIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from {} import main; main(sys.argv[1:])"


def spawn(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: dict[str, str] | None = None,
    death_signal: int = signal.SIGKILL,
    **popen: Any,
) -> subprocess.Popen:
    """Start a program in a new session, in the project's folder. It gets `death_signal` when this process ends.

    Other systems than Linux send no such signal. The kernel also sends it when the thread that started the child ends:
    call this from the main thread.
    """
    parent = os.getpid()

    def tie_to_parent() -> None:
        if not die_with_parent(parent, death_signal):
            os._exit(1)

    return subprocess.Popen(
        argv,
        env=env,
        cwd=popen.pop("cwd", PROJECT),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=tie_to_parent if LINUX else None,
        **popen,
    )


def bare_python(module: str, *arguments: str) -> list[str]:
    """Return the command line that calls `main(arguments)` of a module in an interpreter without site packages.

    It ignores the environment as well, and starts in a few milliseconds.
    """
    return [sys.executable, "-I", "-S", "-c", _RUN_MAIN.format(module), str(PACKAGES), *arguments]
