"""Parsing of a file in a separate process: a hostile file can harm that process only."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import orjson

from executor.processes.linux import die_with_parent
from executor.processes.spawning import PROJECT

from .formats import Format, Unreadable
from .parsing import ParsedFile
from .splitting import Piece

TIMEOUT = 60  # seconds, of wall time and of CPU time
TOO_SLOW = f"The file takes longer than {TIMEOUT} s to read: divide it."
MAX_MEMORY = 2 * 1024**3  # bytes of address space


def parse_isolated(kind: Format, data: bytes) -> ParsedFile:
    """Return the content of a file. Raises Unreadable."""
    try:
        process = subprocess.run(
            [sys.executable, "-m", __name__, kind.name, str(os.getpid())],
            input=data,
            capture_output=True,
            timeout=TIMEOUT,
            cwd=PROJECT,
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(TOO_SLOW) from None
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Unreadable(TOO_SLOW)
    if process.returncode:
        last = process.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["its process was killed"]
        raise Unreadable(f"The file cannot be read ({last[0][:300]}).")
    answer = orjson.loads(process.stdout)
    if "unreadable" in answer:
        raise Unreadable(answer["unreadable"])
    return ParsedFile(**{**answer, "pieces": [Piece(**piece) for piece in answer["pieces"]]})


def _set_limits() -> None:
    try:
        import resource
    except ImportError:  # another system: only the timeout remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT, TIMEOUT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(format_name: str, parent: str) -> None:
    """Parse the file on standard input and write the result as JSON to standard output."""
    from .formats import BY_NAME
    from .parsing import parse

    if not die_with_parent(int(parent)):
        return
    data = sys.stdin.buffer.read()
    _set_limits()
    try:
        answer = dataclasses.asdict(parse(BY_NAME[format_name], data))
    except Unreadable as error:
        answer = {"unreadable": str(error)}
    except MemoryError:
        answer = {"unreadable": "The file needs too much memory to read."}
    sys.stdout.buffer.write(orjson.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
