"""Bounded waiting on a condition."""

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    condition: Callable[[], T],
    timeout: float = 10,
    every: float = 0.02,
    what: str = "",
    told: Callable[[], str] = lambda: "",
) -> T:
    """Call `condition` until it returns a true value, and return that. An AssertionError counts as "not yet".

    `told` returns details for the message of a timeout.
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
            raise AssertionError(f"not within {timeout:g} s: {what or _source(condition)}\nlast seen: {last}\n{told()}")
        time.sleep(every)


def _source(condition: Callable) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
