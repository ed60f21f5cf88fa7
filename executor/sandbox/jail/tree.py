"""The processes below one process: which they are, how much memory they use, and the end of all of them."""

from __future__ import annotations

import os
import resource
import signal
import time


def descendants(pid: int) -> list[int]:
    """All living processes below `pid`, without itself."""
    children = _children if os.path.exists(f"/proc/self/task/{os.getpid()}/children") else _children_by_parent
    found, ahead = [], [pid]
    while ahead:
        for child in children(ahead.pop()):
            found.append(child)
            ahead.append(child)
    return found


def _children(pid: int) -> list[int]:
    children = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children += map(int, file.read().split())
    except (OSError, ValueError):
        pass  # it ended meanwhile
    return children


def _children_by_parent(pid: int) -> list[int]:
    """For kernels that keep no list of children."""
    children = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    if int(file.read().rpartition(b")")[2].split()[1]) == pid:
                        children.append(int(name))
            except (OSError, ValueError, IndexError):
                pass  # it ended meanwhile
    return children


def memory_of(pids: list[int]) -> int:
    """The bytes that these processes hold together: what is theirs, without the files and libraries they map."""
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


def end_all(patience: float = 5.0) -> bool:
    """Kill every process below this one and collect them; True when none is left.

    This process must be the one that orphans are given to. A program that forks faster than it is killed is first
    kept from forking.
    """
    deadline = time.monotonic() + patience
    pause = 0.0002
    while time.monotonic() < deadline:
        living = descendants(os.getpid())
        for pid in living:
            try:
                if hasattr(resource, "prlimit"):
                    resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
            except OSError:
                pass  # root and other namespaces are not bound by it, and die at once
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass  # it ended by itself
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    return False
