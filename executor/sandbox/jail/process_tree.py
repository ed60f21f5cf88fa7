"""Descendants of a process: their pids, their memory, their end."""

from __future__ import annotations

import os
import resource
import signal
import time


def descendants(pid: int) -> list[int]:
    """Return the pids of all living descendants of `pid`."""
    children = _children if os.path.exists(f"/proc/self/task/{os.getpid()}/children") else _children_by_parent
    found, pending = [], [pid]
    while pending:
        for child in children(pending.pop()):
            found.append(child)
            pending.append(child)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children += map(int, file.read().split())
    except (OSError, ValueError):
        pass  # it has ended
    return children


def _children_by_parent(pid: int) -> list[int]:
    """Return the children of `pid` on kernels that keep no list of children."""
    children: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    if int(file.read().rpartition(b")")[2].split()[1]) == pid:
                        children.append(int(name))
            except (OSError, ValueError, IndexError):
                pass  # it has ended
    return children


def memory_of(pids: list[int]) -> int:
    """Return the bytes of private and shared memory of these processes, without the files that they map."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", "rb") as file:
                text = file.read()
        except OSError:
            continue
        for field in (b"\nRssAnon:", b"\nRssShmem:", b"\nVmSwap:"):
            at = text.find(field)
            if at >= 0:
                total += 1024 * int(text[at + len(field) :].split(None, 1)[0])
    return total


def kill_descendants(timeout: float = 5.0) -> bool:
    """Kill and reap every descendant of this process; return whether none is left.

    This process must be a subreaper. Each descendant is first kept from forking, in case it forks faster than it is
    killed.
    """
    deadline = time.monotonic() + timeout
    pause = 0.0002
    while time.monotonic() < deadline:
        living = descendants(os.getpid())
        for pid in living:
            try:
                if hasattr(resource, "prlimit"):
                    resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
            except OSError:
                pass  # root and other namespaces are not bound by it; they die at once
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass  # it has ended
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    return False
