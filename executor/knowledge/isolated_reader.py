"""Reading a file in a process of its own: a hostile file costs that process its life, and nobody else anything."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import orjson

from executor.processes.layout import PACKAGES
from executor.processes.linux import die_with_parent

from .formats import Format, Unreadable
from .reading import Reading
from .splitting import Piece

SECONDS = 60
TOO_LONG = f"The file takes longer than {SECONDS} s to read: divide it."
MEMORY = 2 * 1024**3  # bytes of address space


def read_contained(kind: Format, data: bytes) -> Reading:
    """What a file says. Raises Unreadable."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, kind.name, str(os.getpid())],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            cwd=PACKAGES,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(TOO_LONG) from None
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Unreadable(TOO_LONG)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it was killed"]
        raise Unreadable(f"The file cannot be read ({last[0][:300]}).")
    answer = orjson.loads(done.stdout)
    if "unreadable" in answer:
        raise Unreadable(answer["unreadable"])
    return Reading(**{**answer, "pieces": [Piece(**piece) for piece in answer["pieces"]]})


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not on this system: the time limit remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(name: str, parent: str) -> None:
    from .formats import BY_NAME
    from .reading import read

    if not die_with_parent(int(parent)):
        return
    data = sys.stdin.buffer.read()
    _limit()
    try:
        answer = dataclasses.asdict(read(BY_NAME[name], data))
    except Unreadable as error:
        answer = {"unreadable": str(error)}
    except MemoryError:
        answer = {"unreadable": "The file needs too much memory to read."}
    sys.stdout.buffer.write(orjson.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
