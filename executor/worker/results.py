"""What a task gave back, made fit to be kept: JSON text, clean error text, artifacts for what is large.

A hostile value never makes its own completion fail: text is escaped. Only what is no JSON at all is an error.
"""

from __future__ import annotations

import math
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from pydantic import BaseModel

from executor.domain.errors import BadResult, TaskError

ERROR_CHARACTERS = 4_000
TRACEBACK_CHARACTERS = 20_000
PREVIEW = 2_000  # characters of the head and of the tail of a result that became an artifact
LONGEST_WAIT = 366 * 86_400.0  # seconds that an error may ask for before the next attempt
LARGEST = 100 * 1024 * 1024  # bytes of a result as JSON


def clean(text: str, limit: int = ERROR_CHARACTERS) -> str:
    """Text that both databases take: without NUL and lone surrogates, and of bounded length."""
    text = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else f"{text[: limit // 2]}\n[…]\n{text[-limit // 2 :]}"


def traceback_of(error: BaseException) -> str:
    """The traceback as text. What cannot even be printed says so."""
    try:
        return clean("".join(traceback.format_exception(error, limit=-30)), TRACEBACK_CHARACTERS)
    except Exception as broken:
        return f"(the traceback could not be printed: {type(broken).__name__})"


def message_of(error: BaseException) -> str:
    """The error's sentence with its class, as people read it in a list."""
    try:
        text = str(error)
    except Exception:
        text = "(its message could not be printed)"
    return clean(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def failure_of(error: BaseException) -> dict[str, Any]:
    """What is recorded of an error, ready for JSON and for both databases, whatever a task function put into it."""
    if not isinstance(error, TaskError):
        return {"error": message_of(error), "kind": type(error).__name__[:50], "traceback": traceback_of(error)}
    return {
        "error": clean(str(error.message)),
        "kind": clean(str(error.kind))[:50],
        "traceback": getattr(error, "traceback", None) or traceback_of(error),
        "retryable": bool(error.retryable),
        "retry_after": _seconds(error.retry_after),
        "details": None if error.details is None else _details(error.details),
    }


def _seconds(value: Any) -> float | None:
    """A time to wait; None, which means the usual one, for what is no number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(min(max(value, 0), LONGEST_WAIT))


def _details(value: Any) -> Any:
    try:
        text = encode(value)
    except BadResult as error:
        return f"(the details cannot be kept: {error.message})"
    if len(text) > settings.BATCH_INLINE_RESULT:
        return {"size": len(text), "head": text[:PREVIEW], "tail": text[-PREVIEW:]}
    return orjson.loads(text)


def encode(value: Any) -> str:
    """The result as JSON text.

    Raises BadResult for what cannot be written as JSON, or is too large to keep.
    """
    try:
        text = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError):
        try:
            text = orjson.dumps(_mended(value), default=_plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise BadResult(f"The result cannot be kept as JSON: {clean(str(error), 300)}.") from None
    if len(text) > LARGEST:
        raise BadResult(f"The result has {len(text):,} bytes; more than {LARGEST:,} are not kept.", retryable=False)
    return text.decode()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, Decimal | Path | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _mended(value: Any, depth: int = 0) -> Any:
    """The value with what orjson refuses replaced: lone surrogates escaped, huge integers as text."""
    if depth > 200:
        raise TypeError("it is nested too deeply")
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {str(_mended(str(key))): _mended(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mended(item, depth + 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value) if value.bit_length() < 10_000 else f"(an integer of {value.bit_length()} bits)"
    return value


def keep(batch_id: str, number: int, attempt: int, text: str) -> str:
    """The text as it goes into the row: itself, or, when it is large, a note of where the artifact is."""
    size = len(text.encode())
    if size <= settings.BATCH_INLINE_RESULT:
        return text
    path = artifact_path(batch_id, number, attempt)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_text(text)
    partial.replace(path)  # a reader meets the whole file or none
    note = {"artifact": path.name, "size": size, "head": text[:PREVIEW], "tail": text[-PREVIEW:]}
    return orjson.dumps({"$artifact": note}).decode()


def artifact_path(batch_id: str, number: int, attempt: int) -> Path:
    """Where the large result of an attempt lies."""
    return Path(settings.BATCH_ARTIFACTS) / batch_id / f"{number}-{attempt}.json"
