"""Reading a file in a process of its own: a hostile PDF costs that process its life, and nobody else anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from .formats import Block, Format, Unreadable

SECONDS = 120
MEMORY = 2 * 1024**3  # bytes of address space
ROOT = Path(__file__).resolve().parent.parent.parent


def read_contained(kind: Format, data: bytes) -> list[Block]:
    """The blocks of a file. Raises Unreadable."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, kind.name],
            input=data,
            capture_output=True,
            timeout=SECONDS,
            cwd=ROOT,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"The file took longer than {SECONDS} s to read.") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it was killed"]
        raise Unreadable(f"The file cannot be read ({last[0][:300]}).")
    answer = json.loads(done.stdout)
    if "unreadable" in answer:
        raise Unreadable(answer["unreadable"])
    return [Block(text, tuple(headings), position, flowing) for text, headings, position, flowing in answer["blocks"]]


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not on this system: the time limit remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(name: str) -> None:
    from .formats import BY_NAME

    data = sys.stdin.buffer.read()
    _limit()
    try:
        blocks = BY_NAME[name].read(data)
        answer = {"blocks": [(block.text, block.headings, block.position, block.flowing) for block in blocks]}
    except Unreadable as error:
        answer = {"unreadable": str(error)}
    except MemoryError:
        answer = {"unreadable": "The file needs too much memory to read."}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
