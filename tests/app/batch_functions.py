"""Task functions, one for each behaviour that tests need.

With `mark`, the path of a file, each appends a line when it starts and ends, so that tests see calls and not only rows.
"""

import asyncio
import contextlib
import os
import pathlib
import signal
import subprocess
import time

from executor.domain.errors import TaskFailed
from executor.functions import TaskContext, task_function


def note(mark: str, word: str, context: TaskContext | None = None, pid: int = 0) -> None:
    if mark:
        attempt = f"{context.number} {context.attempt}" if context else "0 0"
        with open(mark, "a") as file:
            file.write(f"{word} {attempt} {pid or os.getpid()} {time.time():.4f}\n")


# --- successful -----------------------------------------------------------------------------------------


@task_function()
async def ok(value: str = "fine") -> str:
    """Return the argument."""
    return value


@task_function()
def sync_ok(value: str = "fine") -> dict:
    """Return the argument and the pid of the process."""
    return {"value": value, "pid": os.getpid()}


@task_function()
async def nap(context: TaskContext, seconds: float = 0.1, mark: str = "") -> str:
    """Sleep on the event loop."""
    note(mark, "start", context)
    try:
        await asyncio.sleep(seconds)
    finally:
        note(mark, "end", context)
    return "slept"


@task_function()
async def meet(mark: str, count: int, context: TaskContext) -> None:
    """Return when this many tasks have started, which they can only do at the same time."""
    note(mark, "start", context)
    while pathlib.Path(mark).read_text().count("start ") < count:
        await asyncio.sleep(0.02)
    note(mark, "end", context)


@task_function()
async def wait_for_file(path: str, context: TaskContext, mark: str = "") -> None:
    """Return when a file exists."""
    note(mark, "start", context)
    while not pathlib.Path(path).exists():
        await asyncio.sleep(0.02)
    note(mark, "end", context)


@task_function()
def sync_wait_for_file(path: str, context: TaskContext, mark: str = "") -> None:
    """Return when a file exists, in a child process."""
    note(mark, "start", context)
    while not pathlib.Path(path).exists():
        time.sleep(0.02)
    note(mark, "end", context)


@task_function()
def sync_nap(context: TaskContext, seconds: float = 0.1, mark: str = "", grandchild: bool = False) -> str:
    """Sleep in a child process, optionally with a grandchild."""
    note(mark, "start", context)
    if grandchild:
        note(mark, "grandchild", context, subprocess.Popen(["sleep", "600"]).pid)
    time.sleep(seconds)
    note(mark, "end", context)
    return "slept"


@task_function()
def busy(seconds: float = 1) -> None:
    """Keep a processor busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@task_function()
def stubborn_nap(context: TaskContext, seconds: float = 0.1, mark: str = "") -> str:
    """Sleep, ignoring every signal and exception that can be ignored."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    note(mark, "start", context)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            time.sleep(0.05)
    return "slept"


# --- failing --------------------------------------------------------------------------------------------


@task_function()
async def raises(message: str = "it broke", mark: str = "", context: TaskContext = None) -> None:
    """Fail every time."""
    note(mark, "start", context)
    raise ValueError(message)


@task_function()
def sync_raises(message: str = "it broke") -> None:
    """Fail every time, in a child process."""
    raise ValueError(message)


class Odd(BaseException):
    """Not an Exception."""


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def _raise(what: str):
    match what:
        case "base_exception":
            raise Odd("odd")
        case "system_exit":
            raise SystemExit(3)
        case "keyboard_interrupt":
            raise KeyboardInterrupt
        case "generator_exit":
            raise GeneratorExit
        case "cancelled_error":
            raise asyncio.CancelledError
        case "recursion":
            return _raise(what)
        case "unprintable":
            raise Unprintable
        case "surrogate":
            raise ValueError("half a \ud83d face and a \x00")
        case "long":
            raise ValueError("x" * 1_000_000)
        case "message_is_a_dict":
            raise TaskFailed({"code": 404})
        case "message_has_a_surrogate":
            raise TaskFailed("half a \ud83d face")
        case "details_are_no_json":
            raise TaskFailed("see the details", details={"file": object()})
        case "retry_after_is_a_word":
            raise TaskFailed("later", retry_after="soon")
        case "retry_after_is_infinite":
            raise TaskFailed("later", retry_after=float("inf"))
        case "retry_after_is_nan":
            raise TaskFailed("later", retry_after=float("nan"))
        case "retry_after_is_huge":
            raise TaskFailed("later", retry_after=1e300)
        case "retry_after_is_negative":
            raise TaskFailed("later", retry_after=-5)
        case "not_retryable":
            raise TaskFailed("never again", retryable=False)
        case _:
            raise ValueError(f"no such behaviour: {what}")


@task_function()
async def raises_odd(what: str) -> None:
    """Raise an unusual exception on the event loop."""
    _raise(what)


@task_function()
def sync_raises_odd(what: str) -> None:
    """Raise an unusual exception in a child process."""
    _raise(what)


# --- results that are hard to serialize -----------------------------------------------------------------


def _value(what: str):
    cyclic: list = []
    cyclic.append(cyclic)
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    values = {
        "object": object(),
        "cyclic": cyclic,
        "deep": deep,
        "nan": [float("nan"), float("inf")],
        "surrogate": "half a \ud83d face",
        "surrogate_key": {"\ud83d": 1},
        "nul": "a\x00b",
        "bytes": b"\x00\xff",
        "big_integer": 10**400,
        "set": {1},
        "tuple_key": {(1, 2): 3},
        "huge": "x" * 3_000_000,
        "generator": (number for number in range(3)),
    }
    return values[what]


@task_function()
async def gives(what: str):
    """Return an unusual value."""
    return _value(what)


@task_function()
def sync_gives(what: str):
    """Return an unusual value from a child process."""
    return _value(what)


# --- harmful to their process ---------------------------------------------------------------------------


@task_function()
def dies(how: str, context: TaskContext, mark: str = "") -> None:
    """Kill the child process of this attempt, or another process."""
    note(mark, "start", context)
    match how:
        case "exit":
            os._exit(7)
        case "exit_0":
            os._exit(0)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "parent":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(30)
        case "group":
            os.killpg(0, signal.SIGKILL)
        case "close_line":
            os.closerange(3, 256)
        case "garbage":
            for fd in range(3, 64):
                with contextlib.suppress(OSError):
                    os.write(fd, b"\x00\x00\x00\x05hello")
            time.sleep(30)


@task_function()
async def kills_its_worker(context: TaskContext, mark: str = "") -> None:
    """Kill the worker."""
    note(mark, "start", context)
    os.kill(os.getpid(), signal.SIGKILL)


@task_function()
async def deaf(seconds: float = 5, mark: str = "", context: TaskContext = None) -> str:
    """Swallow every cancellation for some seconds."""
    note(mark, "start", context)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.05)
    return "never heard of it"


@task_function()
async def blocks(seconds: float = 1, mark: str = "", context: TaskContext = None) -> str:
    """Block the whole event loop."""
    note(mark, "start", context)
    time.sleep(seconds)
    return "blocked"


# --- mutation tests -------------------------------------------------------------------------------------

if mutation := os.environ.get("BATCH_TEST_MUTATION"):  # every process of a test run imports this module
    from tests.mutation.guards import apply

    apply(mutation)
