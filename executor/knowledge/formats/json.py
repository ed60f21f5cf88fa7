"""JSON and JSON Lines: each item of a list, each key of an object, as `path: value`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .blocks import Block, Unreadable, clean, decode


def read(data: bytes) -> list[Block]:
    """Return one block for each item or key. Raises Unreadable."""
    text = decode(data)
    try:
        return _blocks(_parsed(text))
    except RecursionError:
        raise Unreadable("The JSON is nested too deeply.") from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as whole:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2:
            raise Unreadable(f"It is not JSON: {whole}.") from None
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError:
            raise Unreadable(f"It is neither JSON ({whole}) nor JSON Lines.") from None


def _blocks(value: Any) -> list[Block]:
    entries: list[tuple[dict, tuple[str, ...], Any]]
    if isinstance(value, list):
        entries = [({"item": number}, (), item) for number, item in enumerate(value, 1)]
    elif isinstance(value, dict):
        entries = [({"path": key}, (clean(key),), item) for key, item in value.items()]
    else:
        entries = [({}, (), value)]
    blocks = []
    for position, headings, item in entries:
        lines = [f"{path}: {leaf}" if path else leaf for path, leaf in _leaves(item, "")]
        if lines:
            blocks.append(Block(clean("\n".join(lines)), headings, position, flowing=False))
    return blocks


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path)
    elif value is not None and value != "":
        yield path, str(value)
