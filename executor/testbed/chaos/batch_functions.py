"""The tasks of a chaos run: good ones, bad ones, and those that kill what runs them. Each writes down that it began, so
that the judge knows what really ran, and not only what the database says of it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from django.conf import settings

from executor.domain.errors import TaskFailed
from executor.functions import TaskContext, task_function

MARKS = "chaos-marks"


def marks_path() -> Path:
    return Path(settings.DATA_DIR) / MARKS


def _begin(context: TaskContext) -> None:
    line = f"{context.task_id} {context.attempt} {os.getpid()} {time.time():.4f}\n".encode()
    file = os.open(marks_path(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line)  # one write: lines of several processes do not mix
    os.close(file)


def _end(context: TaskContext, fail_times: int) -> dict:
    if context.retry_count < fail_times:
        raise TaskFailed(f"Failure {context.retry_count + 1}, as asked for.")
    return {"attempt": context.attempt, "pid": os.getpid()}


@task_function("chaos_nap")
async def nap(context: TaskContext, seconds: float = 0.02, fail_times: int = 0) -> dict:
    """Sleep on the event loop, and fail as often as asked."""
    _begin(context)
    await asyncio.sleep(seconds)
    return _end(context, fail_times)


@task_function("chaos_plain")
def plain(context: TaskContext, seconds: float = 0.02, fail_times: int = 0) -> dict:
    """Sleep in a child process, and fail as often as asked."""
    _begin(context)
    time.sleep(seconds)
    return _end(context, fail_times)


@task_function("chaos_kills_child")
def kills_child(context: TaskContext, signum: int = signal.SIGKILL) -> None:
    """End the child process that runs it."""
    _begin(context)
    os.kill(os.getpid(), signum)
    time.sleep(30)


@task_function("chaos_kills_worker")
async def kills_worker(context: TaskContext) -> None:
    """End the worker that runs it."""
    _begin(context)
    os.kill(os.getpid(), signal.SIGKILL)
