"""Run one program in the sandbox, from the worker's event loop."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field

from executor.domain.errors import SandboxUnavailable
from executor.processes import framing

from . import server
from .output import Output, Redactor

DRAIN = 0.5  # seconds that the rest of the output is waited for when the program is dead
MARGIN = 10.0  # seconds after its time that a run which says nothing is given up
LARGEST = 64 * 1024 * 1024


@dataclass
class Program:
    """A program and what it may use. `files` are name → {"text": …} or {"base64": …}; `return_files` are patterns,
    None for all that is new or changed."""

    argv: list[str]
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict] = field(default_factory=dict)
    return_files: list[str] | None = None
    timeout: float = 60.0
    memory_mb: int = 512
    network: bool = False
    paths: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Finished:
    """How it ended: `exit`, `timeout`, `memory`, `files`, or `not started`."""

    ended: str
    error: str
    exit_code: int | None
    signal: str | None
    stdout: str
    stderr: str
    truncated: bool
    duration: float
    cpu_seconds: float
    peak_memory: int
    files: dict


async def run(
    program: Program,
    launcher: str,
    user: int | None,
    tell: Callable[[str], None] = lambda text: None,
    redactor: Callable[[], Redactor | None] = lambda: None,
) -> Finished:
    """Run it and wait for its end; `tell` hears what it prints, each stream behind a `redactor` of its own. A cancelled
    call ends the program and all it started.

    Raises SandboxUnavailable when nothing can be started at all.
    """
    if not server.running():
        await asyncio.to_thread(server.start)
    line, theirs = socket.socketpair()
    line.setblocking(False)
    outputs: list[Output] = []
    try:
        with theirs:
            outputs += [Output(tell, redactor()), Output(tell, redactor())]
            server.hand_over(theirs, outputs[0].writable, outputs[1].writable)
        for output in outputs:
            output.handed_over()
        try:
            async with asyncio.timeout(program.timeout + MARGIN):
                answer = await _exchange(line, _order(program, launcher, user))
        except TimeoutError:
            answer = {"ended": "timeout", "error": "the sandbox itself did not answer in time"}
        ends = [asyncio.ensure_future(output.ended.wait()) for output in outputs]
        await asyncio.wait(ends, timeout=DRAIN)
        for end in ends:
            end.cancel()
    except OSError as error:
        raise SandboxUnavailable(f"The sandbox could not start a program: {error}.") from error
    finally:
        line.close()  # whatever still runs ends now
        for output in outputs:
            output.close()
    return _finished(answer, *outputs, launcher)


def _order(program: Program, launcher: str, user: int | None) -> bytes:
    order = {
        "launcher": launcher,
        "argv": program.argv,
        "env": {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **program.env},
        "stdin": program.stdin,
        "files": program.files,
        "return_files": program.return_files,
        "timeout": program.timeout,
        "cpu_seconds": math.ceil(program.timeout * (os.cpu_count() or 1)) + 1,
        "memory_mb": program.memory_mb,
        "network": program.network,
        "paths": program.paths,
        "user": user,
        "group": user,
        "temp": tempfile.gettempdir(),
        "bubblewrap": shutil.which("bwrap") or "bwrap",
        "prlimit": shutil.which("prlimit") or "prlimit",
    }
    return framing.pack(json.dumps(order).encode())


async def _exchange(line: socket.socket, order: bytes) -> dict:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(line, order)
    decoder = framing.Decoder(max_size=LARGEST)
    while data := await loop.sock_recv(line, framing.CHUNK):
        try:
            for answer in decoder.feed(data):
                return json.loads(answer)
        except framing.MessageTooLarge:
            raise ConnectionError("its answer is too large") from None
    raise ConnectionError("its server could not start a process")


def _finished(answer: dict, out: Output, err: Output, launcher: str) -> Finished:
    code = number = None
    if (status := answer.get("status")) is not None:
        code = os.waitstatus_to_exitcode(status)
        if launcher == "bubblewrap" and code > 128:
            code = 128 - code  # it tells a signal as a shell does
        if code < 0:
            number, code = -code, None
    return Finished(
        ended=answer["ended"],
        error=answer["error"],
        exit_code=code,
        signal=_name_of(number),
        stdout=out.text,
        stderr=err.text,
        truncated=out.truncated or err.truncated,
        duration=round(answer.get("duration", 0.0), 4),
        cpu_seconds=round(answer.get("cpu_seconds", 0.0), 4),
        peak_memory=answer.get("peak_memory", 0),
        files=answer.get("files", {}),
    )


def _name_of(number: int | None) -> str | None:
    if number is None:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
