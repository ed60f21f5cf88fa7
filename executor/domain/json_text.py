"""JSON from outside, as text that every database keeps and every client reads alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings

DEEPEST = 64  # levels of nesting
LONGEST_KEY = 256  # characters of a key


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of a text that is no task, in the place of the task, so that it is told together with what is wrong with
    the others."""

    reason: str
    line: int


def read_lines(rows: Iterable[str | bytes]) -> Iterator[tuple[int, Any]]:
    """The number of each line that is not empty, counted from 1, and its value: BadLine where it is no JSON."""
    for number, row in enumerate(rows, 1):
        if number == 1:  # spreadsheets and editors put a mark before a text
            row = row.removeprefix(b"\xef\xbb\xbf") if isinstance(row, bytes) else row.removeprefix("\ufeff")
        if not row.strip():
            continue
        try:
            yield number, orjson.loads(row)
        except orjson.JSONDecodeError as error:
            yield number, BadLine(f"is not JSON: {error.msg} (column {error.colno})", number)


def kind_of(value: Any) -> str:
    """What a value is called in JSON, with its article."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "an object")


def spelled(value: Any) -> tuple[str, str]:
    """The value as JSON text, and what is wrong with it (an empty text when nothing is). What passes is kept alike by
    every database and read alike by every client."""
    try:
        text = orjson.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        return "", f"cannot be written as JSON: {error}"
    if len(text) > settings.BATCH_MAX_PARAMS:
        return "", f"has {len(text):,} bytes as JSON; at most {settings.BATCH_MAX_PARAMS:,} are allowed"
    if b"\\u0000" in text and _contains_nul(value):
        return "", "must not contain the NUL character"
    if b"null" in text and _contains_no_number(value):
        return "", "must not contain NaN or infinity"
    if text.count(b"{") + text.count(b"[") > DEEPEST and _depth(value) > DEEPEST:
        return "", f"is nested deeper than {DEEPEST} levels"
    if len(text) > LONGEST_KEY and (key := _long_key(value)):
        return "", f"has a key of more than {LONGEST_KEY} characters: {key[:40]}…"
    return text.decode(), ""


def _contains_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_contains_nul(key) or _contains_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_contains_nul, value))


def _contains_no_number(value: Any) -> bool:
    """NaN and the infinities, which JSON has not: they would silently become null."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_contains_no_number, value.values()))
    return isinstance(value, list) and any(map(_contains_no_number, value))


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        inner = [item for item in level if isinstance(item, dict | list)]
        level = [each for item in inner for each in (item.values() if isinstance(item, dict) else item)]
    return deepest


def _long_key(value: Any) -> str:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            for key, inner in item.items():
                if len(key) > LONGEST_KEY:
                    return key
                stack.append(inner)
        elif isinstance(item, list):
            stack += item
    return ""
