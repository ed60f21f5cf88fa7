"""Secrets in parameters: `{"$secret": "NAME"}` stands for a value that only the worker has.

The worker substitutes the value right before the call and redacts it in everything that the attempt reports: result,
error, traceback, log and progress. Files that the function writes, and encodings of the value, are not redacted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
from django.conf import settings

from .errors import SecretMissing

MARKER = "$secret"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def find_secrets(params: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield (path, name) of each secret in the parameters; the name is as given, of any type."""
    # No recursion: parameters may nest deeper than the stack of Python.
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), params)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            if MARKER in value:
                yield path, value[MARKER] if len(value) == 1 else None
            else:
                pending += [((*path, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            pending += [((*path, index), item) for index, item in enumerate(value)]


def is_secret_name(name: Any) -> bool:
    """Return whether this is a valid name of a secret."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def substitute_secrets(params: dict[str, Any]) -> tuple[dict[str, Any], Redactor | None]:
    """Return the parameters with the values of their secrets, and a redactor for these; None if there are none.

    Raises SecretMissing.
    """
    values: dict[str, str] = {}
    for _, name in find_secrets(params):
        if not is_secret_name(name) or name not in settings.BATCH_SECRETS:
            raise SecretMissing(
                f"This worker has no secret {name!r}: set BATCH_SECRET_{name} in its environment.", retryable=False
            )
        values[name] = str(settings.BATCH_SECRETS[name])
    return (_substituted(params, values), Redactor(values)) if values else (params, None)


def _substituted(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, dict):
        if MARKER in value:
            return values[value[MARKER]]
        return {key: _substituted(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_substituted(item, values) for item in value]
    return value


class Redactor:
    """Replaces each occurrence of some secrets' values by `[secret NAME]`."""

    def __init__(self, values: dict[str, str]):
        self._names = {value: name for name, value in values.items() if value}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._held = ""
        self._values = values

    def clone(self) -> Redactor:
        """Return a redactor of the same secrets for another stream."""
        return Redactor(self._values)

    def redact_text(self, text: str) -> str:
        """Return a whole text without the secrets."""
        return self._pattern.sub(lambda found: f"[secret {self._names[found[0]]}]", text)

    def redact_json(self, text: str) -> str:
        """Return a JSON text whose keys and strings are without the secrets."""
        if not any(orjson.dumps(value)[1:-1].decode() in text for value in self._names):
            return text
        return orjson.dumps(self._redacted(orjson.loads(text))).decode()

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.redact_text(value)
        if isinstance(value, dict):
            return {self.redact_text(key): self._redacted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._redacted(item) for item in value]
        return value

    def redact_chunk(self, chunk: str) -> str:
        """Return the next chunk of a stream without the secrets.

        An end that may be the start of a secret is held back until the next chunk or `flush`.
        """
        text = self.redact_text(self._held + chunk)
        held = max((_overlap(text, value) for value in self._names), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def flush(self) -> str:
        """Return the text that was held back."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, value: str) -> int:
    """Return the length of the longest end of the text that is a start of the value."""
    for size in range(min(len(value) - 1, len(text)), 0, -1):
        if text.endswith(value[:size]):
            return size
    return 0
