"""Blocking work of `async` task functions, in a thread, so that it does not block the worker's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import connection

from executor.domain.errors import ExecutorError, TaskFailed

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a call in a thread and close the thread's database connection afterwards.

    Raises TaskFailed in place of an ExecutorError; it is retryable only for a server error (status 500 or above).
    """

    def run() -> T:
        try:
            return call(*args, **kwargs)
        finally:
            connection.close()

    try:
        return await asyncio.to_thread(run)
    except ExecutorError as error:
        message = f"{error.message} {error.fix}".strip()
        raise TaskFailed(message, retryable=error.status >= 500) from error
