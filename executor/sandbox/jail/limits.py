"""Resource limits of a program, and how many processes its user has already."""

from __future__ import annotations

import os
import resource

SCRATCH = 256  # MiB of files, the temporary ones included
ENTRIES = 10_000  # files and folders
PROCESSES = 64
OPEN_FILES = 512
STACK = 64  # MiB


def shares_process_counts() -> bool:
    """Whether a user's processes are counted over all user namespaces together, as they were before Linux 5.14."""
    if not hasattr(os, "sched_getaffinity"):
        return True
    major, minor = (int("".join(c for c in part if c.isdigit()) or 0) for part in os.uname().release.split(".")[:2])
    return (major, minor) < (5, 14)


def tasks_of(user: int) -> int:
    """The processes and threads that a user has now; what RLIMIT_NPROC counts."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                pass  # it ended between the two looks
    return count


def apply(order: dict, more_processes: int = 0) -> None:
    """Limit this process and all it starts. `more_processes` exist already and count as well. Raises OSError."""
    mega = 1024 * 1024
    wanted = {
        "CORE": 0,
        "CPU": order["cpu_seconds"],
        "DATA": order["memory_mb"] * mega,
        "FSIZE": SCRATCH * mega,
        "NOFILE": OPEN_FILES,
        "STACK": STACK * mega,
        "MEMLOCK": 64 * 1024,
        "MSGQUEUE": 0,
        "NPROC": PROCESSES + more_processes,
    }
    for name, value in wanted.items():
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is None:
            continue  # another system
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        soft = min(value, 8 * mega) if name == "STACK" else value
        resource.setrlimit(number, (soft, value))
