"""JSON from outside, checked so that every database keeps it and every client reads it alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings

MAX_DEPTH = 64  # levels of nesting
MAX_KEY_LENGTH = 256  # characters


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not JSON, in place of its task: it is reported together with the errors of the other tasks."""

    reason: str
    line: int


def read_lines(rows: Iterable[str | bytes]) -> Iterator[tuple[int, Any]]:
    """Yield the number, from 1, and the value of each line that is not empty; BadLine for one that is not JSON."""
    for number, row in enumerate(rows, 1):
        if number == 1:  # spreadsheets and editors write a byte order mark
            row = row.removeprefix(b"\xef\xbb\xbf") if isinstance(row, bytes) else row.removeprefix("\ufeff")
        if not row.strip():
            continue
        try:
            yield number, orjson.loads(row)
        except orjson.JSONDecodeError as error:
            yield number, BadLine(f"is not JSON: {error.msg} (column {error.colno})", number)


def kind_of(value: Any) -> str:
    """Return the JSON type of a value, with its article."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "an object")


def to_json_text(value: Any) -> tuple[str, str]:
    """Return the value as JSON text, and the reason if it is refused, else an empty string."""
    try:
        text = orjson.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        return "", f"cannot be written as JSON: {error}"
    if len(text) > settings.BATCH_MAX_PARAMS:
        return "", f"has {len(text):,} bytes as JSON; at most {settings.BATCH_MAX_PARAMS:,} are allowed"
    if b"\\u0000" in text and _contains_nul(value):
        return "", "must not contain the NUL character"
    if b"null" in text and _contains_non_finite(value):
        return "", "must not contain NaN or infinity"
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        return "", f"is nested deeper than {MAX_DEPTH} levels"
    if len(text) > MAX_KEY_LENGTH and (key := _long_key(value)):
        return "", f"has a key of more than {MAX_KEY_LENGTH} characters: {key[:40]}…"
    return text.decode(), ""


def _contains_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_contains_nul(key) or _contains_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_contains_nul, value))


def _contains_non_finite(value: Any) -> bool:
    """Return whether there is a NaN or infinity, which orjson would silently write as null."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_contains_non_finite, value.values()))
    return isinstance(value, list) and any(map(_contains_non_finite, value))


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        inner = [item for item in level if isinstance(item, dict | list)]
        level = [each for item in inner for each in (item.values() if isinstance(item, dict) else item)]
    return deepest


def _long_key(value: Any) -> str:
    key: str
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            for key, inner in item.items():
                if len(key) > MAX_KEY_LENGTH:
                    return key
                pending.append(inner)
        elif isinstance(item, list):
            pending += item
    return ""
