"""Bounded waiting on a condition."""

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMEOUT = 60.0  # seconds; bounds a wait, and is no promise: a busy machine needs long for anything


def eventually(
    condition: Callable[[], T],
    timeout: float = TIMEOUT,
    every: float = 0.02,
    what: str = "",
    describe: Callable[[], str] = lambda: "",
) -> T:
    """Call `condition` until it returns a true value, and return that. An AssertionError counts as "not yet".

    `describe` returns details for the message of a timeout.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = condition()
        except AssertionError as error:
            value, last = None, f"AssertionError: {error}"
        else:
            last = repr(value)
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(
                f"not within {timeout:g} s: {what or _source(condition)}\nlast seen: {last}\n{describe()}"
            )
        time.sleep(every)


def _source(condition: Callable) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
