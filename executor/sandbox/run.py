"""One run of a program in the sandbox, from the worker's event loop."""

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

DRAIN_TIMEOUT = 0.5  # seconds to wait for the rest of the output after the program's end
ANSWER_MARGIN = 10.0  # seconds after the program's timeout until a run without an answer is abandoned
MAX_ANSWER = 64 * 1024 * 1024  # bytes


@dataclass
class Program:
    """A program and its limits.

    `files` are name → {"text": …} or {"base64": …}. `return_files` are patterns of the files to return; None means
    every file that is new or changed. `timeout` is in seconds. `paths` are further folders that it may read.
    """

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
class ProgramResult:
    """The end of a run. `ended` is its reason: `exit`, `timeout`, `memory`, `files`, or `not started`."""

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
    on_output: Callable[[str], None] = lambda text: None,
    new_redactor: Callable[[], Redactor | None] = lambda: None,
) -> ProgramResult:
    """Run a program and wait for its end. Cancelling the call kills the program with its descendants.

    `user` is the id of the user that it runs as; None means the worker's own. `on_output` is called with its output;
    `new_redactor` makes one redactor for each stream.

    Raises SandboxUnavailable if no process can be started.
    """
    if server.pid() is None:
        await asyncio.to_thread(server.start)
    connection, theirs = socket.socketpair()
    connection.setblocking(False)
    outputs: list[Output] = []
    try:
        with theirs:
            outputs += [Output(on_output, new_redactor()), Output(on_output, new_redactor())]
            server.submit_run(theirs, outputs[0].writable, outputs[1].writable)
        for output in outputs:
            output.close_writable()
        try:
            async with asyncio.timeout(program.timeout + ANSWER_MARGIN):
                answer = await _exchange(connection, _request(program, launcher, user))
        except TimeoutError:
            answer = {"ended": "timeout", "error": "the sandbox itself did not answer in time"}
        ends = [asyncio.ensure_future(output.ended.wait()) for output in outputs]
        await asyncio.wait(ends, timeout=DRAIN_TIMEOUT)
        for end in ends:
            end.cancel()
    except OSError as error:
        raise SandboxUnavailable(f"The sandbox could not start a program: {error}.") from error
    finally:
        connection.close()  # ends the run if it is still in progress
        for output in outputs:
            output.close()
    return _result(answer, outputs[0], outputs[1], launcher)


def _request(program: Program, launcher: str, user: int | None) -> bytes:
    request = {
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
    return framing.pack(json.dumps(request).encode())


async def _exchange(connection: socket.socket, request: bytes) -> dict:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, request)
    decoder = framing.Decoder(max_size=MAX_ANSWER)
    while data := await loop.sock_recv(connection, framing.CHUNK):
        try:
            for answer in decoder.feed(data):
                return json.loads(answer)
        except framing.MessageTooLarge:
            raise ConnectionError("its answer is too large") from None
    raise ConnectionError("its fork server could not start a process")


def _result(answer: dict, out: Output, err: Output, launcher: str) -> ProgramResult:
    exit_code = signal_number = None
    if (status := answer.get("status")) is not None:
        exit_code = os.waitstatus_to_exitcode(status)
        if launcher == "bubblewrap" and exit_code > 128:
            exit_code = 128 - exit_code  # bubblewrap encodes a signal as a shell does
        if exit_code < 0:
            signal_number, exit_code = -exit_code, None
    return ProgramResult(
        ended=answer["ended"],
        error=answer["error"],
        exit_code=exit_code,
        signal=_signal_name(signal_number),
        stdout=out.text,
        stderr=err.text,
        truncated=out.truncated or err.truncated,
        duration=round(answer.get("duration", 0.0), 4),
        cpu_seconds=round(answer.get("cpu_seconds", 0.0), 4),
        peak_memory=answer.get("peak_memory", 0),
        files=answer.get("files", {}),
    )


def _signal_name(number: int | None) -> str | None:
    if number is None:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
