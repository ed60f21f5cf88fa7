"""The task functions of a chaos run: reliable ones, failing ones, and some that kill their process.

Each records its start in a file, so that the report can compare the database with what really ran.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from django.conf import settings

from executor.domain.errors import TaskFailed
from executor.functions import TaskContext, task_function

RECORD_FILE = "chaos-starts"


def record_path() -> Path:
    return Path(settings.DATA_DIR) / RECORD_FILE


def _record_start(context: TaskContext) -> None:
    line = f"{context.task_id} {context.attempt} {os.getpid()} {time.time():.4f}\n".encode()
    file = os.open(record_path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line)  # one write: lines of several processes do not interleave
    os.close(file)


def _finish(context: TaskContext, fail_times: int) -> dict:
    if context.retry_count < fail_times:
        raise TaskFailed(f"Failure {context.retry_count + 1} of {fail_times}.")
    return {"attempt": context.attempt, "pid": os.getpid()}


@task_function("chaos_nap")
async def nap(context: TaskContext, seconds: float = 0.02, fail_times: int = 0) -> dict:
    """Sleep on the event loop; fail `fail_times` times first."""
    _record_start(context)
    await asyncio.sleep(seconds)
    return _finish(context, fail_times)


@task_function("chaos_plain")
def plain(context: TaskContext, seconds: float = 0.02, fail_times: int = 0) -> dict:
    """Sleep in a child process; fail `fail_times` times first."""
    _record_start(context)
    time.sleep(seconds)
    return _finish(context, fail_times)


@task_function("chaos_kills_child")
def kills_child(context: TaskContext, signum: int = signal.SIGKILL) -> None:
    """Kill the child process that runs it."""
    _record_start(context)
    os.kill(os.getpid(), signum)
    time.sleep(30)


@task_function("chaos_kills_worker")
async def kills_worker(context: TaskContext) -> None:
    """Kill the worker that runs it."""
    _record_start(context)
    os.kill(os.getpid(), signal.SIGKILL)
