"""The value that a task function returned, as JSON text.

A hostile value never makes its own completion fail: text is escaped. Only a value that JSON cannot hold is an error.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel

from executor.domain.errors import BadResult

LARGEST = 100 * 1024 * 1024  # bytes of a result as JSON


def encode(value: Any) -> str:
    """Return the result as JSON text.

    Raises BadResult for a value that JSON cannot hold, or that is too large.
    """
    try:
        text = orjson.dumps(value, default=_to_json_value, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError):
        try:
            text = orjson.dumps(_repaired(value), default=_to_json_value)
        except (TypeError, ValueError, RecursionError) as error:
            reason = str(error).encode("utf-8", "backslashreplace").decode()[:300]
            raise BadResult(f"The result cannot be stored as JSON: {reason}.") from None
    if len(text) > LARGEST:
        raise BadResult(f"The result has {len(text):,} bytes; at most {LARGEST:,} are stored.", retryable=False)
    return text.decode()


def _to_json_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, Decimal | Path | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _repaired(value: Any, depth: int = 0) -> Any:
    """Return the value with lone surrogates escaped and huge integers as text, which orjson refuses."""
    if depth > 200:
        raise TypeError("the value is nested too deeply")
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {str(_repaired(str(key))): _repaired(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_repaired(item, depth + 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value) if value.bit_length() < 10_000 else f"(an integer of {value.bit_length()} bits)"
    return value
