"""The record of an error, as text that both databases can store, for any exception of a task function."""

from __future__ import annotations

import math
import traceback
from typing import Any, TypedDict

import orjson
from django.conf import settings
from pydantic import ValidationError

from executor.domain.errors import BadResult, TaskError
from executor.storage.results import preview

from .results import encode

ERROR_CHARACTERS = 4_000
TRACEBACK_CHARACTERS = 20_000
KIND_CHARACTERS = 50


class Failure(TypedDict, total=False):
    """An error as a child process sends it, and as `Failed` records it."""

    error: str
    kind: str
    traceback: str
    retryable: bool
    retry_after: float | None
    details: Any


def clean(text: str, limit: int = ERROR_CHARACTERS) -> str:
    """Return text that both databases store: without NUL and lone surrogates, and of bounded length."""
    text = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else f"{text[: limit // 2]}\n[…]\n{text[-limit // 2 :]}"


def message_of(error: BaseException) -> str:
    """Return the error's class and message in one line, as lists show them."""
    try:
        text = str(error)
    except Exception:
        text = "(its message could not be printed)"
    return clean(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def traceback_of(error: BaseException) -> str:
    """Return the traceback as text, or a note where it cannot be printed."""
    try:
        return clean("".join(traceback.format_exception(error, limit=-30)), TRACEBACK_CHARACTERS)
    except Exception as broken:
        return f"(the traceback could not be printed: {type(broken).__name__})"


def own_traceback(error: BaseException) -> str:
    """Return the traceback that an error brings along from another process, or nothing."""
    return clean(str(getattr(error, "traceback", None) or ""), TRACEBACK_CHARACTERS)


def failure_of(error: BaseException) -> Failure:
    """Return the record of an error."""
    if not isinstance(error, TaskError):
        kind = type(error).__name__[:KIND_CHARACTERS]
        return {"error": message_of(error), "kind": kind, "traceback": traceback_of(error)}
    return {
        "error": clean(str(error.message)),
        "kind": clean(str(error.kind))[:KIND_CHARACTERS],
        "traceback": own_traceback(error) or traceback_of(error),
        "retryable": bool(error.retryable),
        "retry_after": _seconds(error.retry_after),
        "details": None if error.details is None else _details(error.details),
    }


def bad_params(error: ValidationError) -> TaskError:
    """Return the error for parameters that the function's model refuses. It is not retryable."""
    problems = "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_url=False)
    )
    wrapped = TaskError(f"The parameters are wrong: {problems}", retryable=False)
    wrapped.kind = "bad_params"
    return wrapped


def _seconds(value: Any) -> float | None:
    """Return a pause; None, which stands for the backoff, for anything but a finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:  # an integer beyond all floats
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _details(value: Any) -> Any:
    try:
        text = encode(value)
    except BadResult as error:
        return f"(the details cannot be stored: {error.message})"
    return {"size": len(text), **preview(text)} if len(text) > settings.BATCH_INLINE_RESULT else orjson.loads(text)
