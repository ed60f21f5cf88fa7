"""Blocking work of an `async` task function: in a thread, so that the worker's event loop goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import connection

from executor.domain.errors import ExecutorError, TaskFailed

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call it in a thread whose database connection is closed afterwards.

    Raises TaskFailed where it raised ExecutorError; only what may pass by itself is worth another attempt.
    """

    def run() -> T:
        try:
            return call(*args, **kwargs)
        finally:
            connection.close()

    try:
        return await asyncio.to_thread(run)
    except ExecutorError as error:
        told = f"{error.message} {error.fix}".strip()
        raise TaskFailed(told, retryable=error.status >= 500) from error
