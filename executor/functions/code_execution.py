"""code_execution: run a program given as text."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from typing import Literal

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field

from executor.errors import CodeFailed, TaskTimeout

from .registry import task_function

KEPT = 32 * 1024  # bytes of the head and of the tail of an output that are kept
READ = 64 * 1024
DRAIN = 0.5  # seconds that a grandchild which holds the pipe is waited for


class CodeExecutionParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    runtime: Literal["python", "terminal"] = Field("python", description="What runs the code.")
    code: str = Field(min_length=1, description="The program: Python, or shell commands for `terminal`.")
    stdin: str = Field("", description="What it reads.")
    timeout: float | None = Field(None, gt=0, le=86_400, description="Seconds it may take.")
    check: bool = Field(True, description="An exit code other than 0 fails the task.")


class _Capture:
    """The head and the tail of a stream; the middle is counted, not kept."""

    def __init__(self):
        self.head, self.tail, self.size = bytearray(), bytearray(), 0

    async def read(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(READ):
            self.size += len(chunk)
            room = KEPT - len(self.head)
            self.head += chunk[:room]
            self.tail += chunk[max(room, 0) :]
            del self.tail[:-KEPT]

    @property
    def truncated(self) -> bool:
        return self.size > len(self.head) + len(self.tail)

    @property
    def text(self) -> str:
        skipped = self.size - len(self.head) - len(self.tail)
        middle = f"\n[… {skipped} bytes not kept …]\n".encode() if skipped else b""
        return (bytes(self.head) + middle + bytes(self.tail)).decode(errors="replace")


def _unavailable() -> str:
    if settings.BATCH_UNSANDBOXED_CODE:
        return ""
    return (
        "code_execution is off: programs would run without a sandbox, with the worker's own rights. "
        "Set BATCH_UNSANDBOXED_CODE=1 to allow that."
    )


def _command(params: CodeExecutionParameters) -> list[str]:
    command = {"python": [sys.executable, "-I", "-c", params.code], "terminal": ["/bin/sh", "-c", params.code]}
    # The program dies with its worker, also when that is killed outright.
    guard = [setpriv, "--pdeathsig", "KILL", "--"] if (setpriv := shutil.which("setpriv")) else []
    return [*guard, *command[params.runtime]]


@task_function(
    "code_execution",
    example={"runtime": "python", "code": "print(6 * 7)"},
    scope="code",
    unavailable=_unavailable,
)
async def code_execution(params: CodeExecutionParameters) -> dict:
    """Run a program in Python or the shell and keep what it printed.

    The result has exit_code, stdout, stderr, truncated and duration. It runs in an empty folder, in a process group of
    its own that is killed at the timeout or when the task is cancelled. Off unless BATCH_UNSANDBOXED_CODE=1: the
    program has the worker's own rights.
    """
    started = time.monotonic()
    folder = tempfile.mkdtemp(prefix="batch-code-")
    process = None
    out, err = _Capture(), _Capture()
    readers: list[asyncio.Task] = []
    try:
        process = await asyncio.create_subprocess_exec(
            *_command(params),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "LANG": "C.UTF-8", "TMPDIR": folder},
            start_new_session=True,
        )
        readers = [asyncio.create_task(out.read(process.stdout)), asyncio.create_task(err.read(process.stderr))]
        async with asyncio.timeout(params.timeout):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(params.stdin.encode())
                await process.stdin.drain()
            process.stdin.close()
            exit_code = await process.wait()
        await asyncio.wait(readers, timeout=DRAIN)
    except TimeoutError:
        raise TaskTimeout(f"The program took longer than {params.timeout:g} s and was killed.") from None
    finally:
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        for reader in readers:
            reader.cancel()
        await asyncio.to_thread(shutil.rmtree, folder, True)
    result = {
        "exit_code": exit_code,
        "stdout": out.text,
        "stderr": err.text,
        "truncated": out.truncated or err.truncated,
        "duration": round(time.monotonic() - started, 4),
    }
    if exit_code and params.check:
        what = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
        last = "\n".join(result["stderr"].strip().splitlines()[-5:])
        raise CodeFailed(f"The program ended with {what}." + (f"\n{last}" if last else ""), details=result)
    return result
