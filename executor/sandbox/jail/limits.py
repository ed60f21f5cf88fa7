"""Resource limits of a program."""

from __future__ import annotations

import os
import resource

SCRATCH = 256  # MiB of files, the temporary ones included
ENTRIES = 10_000  # files and folders
PROCESSES = 64
OPEN_FILES = 512
STACK = 64  # MiB


def shares_process_counts() -> bool:
    """Return whether RLIMIT_NPROC counts a user's processes across user namespaces, as before Linux 5.14."""
    if not hasattr(os, "sched_getaffinity"):
        return True
    major, minor = (int("".join(c for c in part if c.isdigit()) or 0) for part in os.uname().release.split(".")[:2])
    return (major, minor) < (5, 14)


def tasks_of(user: int) -> int:
    """Return the number of processes and threads of a user, which RLIMIT_NPROC counts."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                pass  # it ended between the two calls
    return count


def apply(request: dict, existing_processes: int = 0) -> None:
    """Limit this process and its descendants. `existing_processes` of the user count as well. Raises OSError."""
    mega = 1024 * 1024
    values = {
        "CORE": 0,
        "CPU": request["cpu_seconds"],
        "DATA": request["memory_mb"] * mega,
        "FSIZE": SCRATCH * mega,
        "NOFILE": OPEN_FILES,
        "STACK": STACK * mega,
        "MEMLOCK": 64 * 1024,
        "MSGQUEUE": 0,
        "NPROC": PROCESSES + existing_processes,
    }
    for name, value in values.items():
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is None:
            continue  # another system
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        soft = min(value, 8 * mega) if name == "STACK" else value
        resource.setrlimit(number, (soft, value))
