"""Secrets in parameters: `{"$secret": "NAME"}` stands for a value that only the worker knows.

It is put in right before the call, and taken out again of everything that the attempt says: result, error, traceback,
log and progress. What a function does with it elsewhere (files it writes, what it encodes) is its own affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
from django.conf import settings

from .errors import SecretMissing

MARK = "$secret"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def places(params: Any) -> Iterator[tuple[tuple, Any]]:
    """(path, name) of each secret in these parameters; the name as it was given, of whatever type."""
    ahead: list[tuple[tuple, Any]] = [((), params)]  # no recursion: parameters may be nested deeper than Python's stack
    while ahead:
        path, value = ahead.pop()
        if isinstance(value, dict):
            if MARK in value:
                yield path, value[MARK] if len(value) == 1 else None
            else:
                ahead += [((*path, key), each) for key, each in value.items()]
        elif isinstance(value, list):
            ahead += [((*path, index), each) for index, each in enumerate(value)]


def is_name(name: Any) -> bool:
    """Whether a secret can be called that."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def reveal(params: dict) -> tuple[dict, Curtain | None]:
    """The parameters with the values of their secrets, and what hides these again; None where there are none.

    Raises SecretMissing.
    """
    found: dict[str, str] = {}
    for _, name in places(params):
        if not is_name(name) or name not in settings.BATCH_SECRETS:
            raise SecretMissing(
                f"This worker knows no secret {name!r}: set BATCH_SECRET_{name} in its environment.", retryable=False
            )
        found[name] = str(settings.BATCH_SECRETS[name])
    return (_filled(params, found), Curtain(found)) if found else (params, None)


def _filled(value: Any, found: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return found[value[MARK]] if MARK in value else {key: _filled(each, found) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, found) for each in value]
    return value


class Curtain:
    """Hides the values of some secrets: each occurrence becomes `[secret NAME]`."""

    def __init__(self, values: dict[str, str]):
        self._names = {value: name for name, value in values.items() if value}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._held = ""
        self._values = values

    def another(self) -> Curtain:
        """The same for another stream."""
        return Curtain(self._values)

    def text(self, text: str) -> str:
        """The text without them."""
        return self._pattern.sub(lambda found: f"[secret {self._names[found[0]]}]", text)

    def json(self, text: str) -> str:
        """The JSON text with its strings without them."""
        if not any(orjson.dumps(value)[1:-1].decode() in text for value in self._names):
            return text
        return orjson.dumps(self._walked(orjson.loads(text))).decode()

    def _walked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self._walked(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._walked(each) for each in value]
        return value

    def stream(self, text: str) -> str:
        """The next piece of a text that comes in pieces, without them. An end that could be the beginning of one is
        held back until the next piece, or `rest`."""
        text = self.text(self._held + text)
        held = max((_overlap(text, value) for value in self._names), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, value: str) -> int:
    """How many characters at the end of the text begin the value."""
    for size in range(min(len(value) - 1, len(text)), 0, -1):
        if text.endswith(value[:size]):
            return size
    return 0
