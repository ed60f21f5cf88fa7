"""Last steps of a program before exec: each can only take rights away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from executor.processes.linux import prctl

from . import landlock, limits, seccomp, syscalls

DEVICES = [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")]
ENDED_BEFORE_EXEC = 126


def prefer_as_oom_victim() -> None:
    """Have the kernel's OOM killer choose this process before others."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("800")
    except OSError:
        pass  # another system, or a container that forbids it


def drop_user(request: dict) -> None:
    """Switch to the unprivileged user of the request, if there is one. Raises OSError."""
    if request["user"] is not None:
        os.setgroups([])
        os.setresgid(request["group"], request["group"], request["group"])
        os.setresuid(request["user"], request["user"], request["user"])


def take_streams(streams: tuple[int, int, int], keep: int = -1) -> None:
    """Install standard input, output and error, and close every other descriptor but `keep`."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    if keep < 0:
        os.closerange(3, 1 << 20)
    else:
        os.closerange(3, keep)
        os.closerange(keep + 1, 1 << 20)


def reset_signals() -> None:
    """Restore the default signal handlers: Python ignores some signals, and ignored ones stay ignored after exec."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def execute(request: dict, argv: list[str], folder: str, temporary: str, *layers: Callable[[], None]) -> None:
    """Apply the layers in order and execute the program. Does not return.

    Raises OSError when a layer cannot be applied or there is no such program.
    """
    os.umask(0o077)
    os.chdir(folder)
    reset_signals()
    environment = {"HOME": folder, "PWD": folder, "TMPDIR": temporary, **request["env"]}
    for apply_layer in layers:
        apply_layer()
    os.execve(argv[0], argv, environment)


def landlock_layer(request: dict, read: list[str], write: list[str]) -> Callable[[], None]:
    """Return the Landlock layer. It does nothing on a kernel without Landlock, which the probe detects."""

    def apply_layer() -> None:
        prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        if landlock.version():
            landlock.restrict(read=read, write=write, use=DEVICES, network=request["network"])

    return apply_layer


def seccomp_layer(policy: seccomp.Policy) -> Callable[[], None]:
    """Return the seccomp layer. Apply it last: it denies calls that other layers need."""

    def apply_layer() -> None:
        seccomp.install(seccomp.program(policy, syscalls.architecture(), 0 if policy.may_signal else os.getpid()))

    return apply_layer


def limits_layer(request: dict, existing_processes: int = 0) -> Callable[[], None]:
    """Return the layer of resource limits."""
    return lambda: limits.apply(request, existing_processes)
