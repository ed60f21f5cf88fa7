"""The last steps of a program before it is one: from here on it can only lose."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from executor.processes.linux import prctl

from . import landlock, limits, seccomp, system

DEVICES = [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")]
ENDED_BEFORE_EXEC = 126


def be_first_to_go() -> None:
    """When the machine runs out of memory, the kernel takes this before anything else."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("800")
    except OSError:
        pass  # another system, or a container that forbids it


def drop_user(order: dict) -> None:
    """Become the unprivileged user of the order, when there is one. Raises OSError."""
    if order["user"] is not None:
        os.setgroups([])
        os.setresgid(order["group"], order["group"], order["group"])
        os.setresuid(order["user"], order["user"], order["user"])


def take_streams(streams: tuple[int, int, int], keep: int = -1) -> None:
    """Standard input, output and error; no other descriptor stays open but `keep`."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    if keep < 0:
        os.closerange(3, 1 << 20)
    else:
        os.closerange(3, keep)
        os.closerange(keep + 1, 1 << 20)


def reset_signals() -> None:
    """The defaults, as every program expects them. Python ignores some, and only ignored ones outlive an exec."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def execute(order: dict, argv: list[str], folder: str, temporary: str, *walls: Callable[[], None]) -> None:
    """Put up the walls and become the program. Returns never.

    Raises OSError when a wall cannot be put up, or there is no such program.
    """
    os.umask(0o077)
    os.chdir(folder)
    reset_signals()
    environment = {"HOME": folder, "PWD": folder, "TMPDIR": temporary, **order["env"]}
    for wall in walls:
        wall()
    os.execve(argv[0], argv, environment)


def landlock_wall(order: dict, read: list[str], write: list[str]) -> Callable[[], None]:
    """Landlock; nothing where the kernel has none, which the probe sees."""

    def put_up() -> None:
        prctl(system.PR_SET_NO_NEW_PRIVS, 1)
        if landlock.version():
            landlock.restrict(read=read, write=write, use=DEVICES, network=order["network"])

    return put_up


def seccomp_wall(policy: seccomp.Policy) -> Callable[[], None]:
    def put_up() -> None:
        seccomp.install(seccomp.program(policy, system.architecture(), 0 if policy.may_signal else os.getpid()))

    return put_up


def limits_wall(order: dict, more_processes: int = 0) -> Callable[[], None]:
    return lambda: limits.apply(order, more_processes)
