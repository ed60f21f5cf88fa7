"""Blocks of text, the output of all readers; decoding of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


class Unreadable(Exception):
    """The file cannot be read; the message is the reason."""


@dataclass(slots=True)
class Block:
    """A paragraph, list, table row or similar unit of text, with the headings above it and its position.

    `flowing` text may be divided at its sentences and joined with its neighbours; a row or record may not.
    """

    text: str
    headings: tuple[str, ...] = ()
    position: dict = field(default_factory=dict)
    flowing: bool = True


# Control characters other than tab and newline: databases reject some, and they are useless for search.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff\ufeff]")


def clean(text: str) -> str:
    """Return the text without control characters, with Unix line ends."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def decode(data: bytes) -> str:
    """Decode bytes by their byte order mark, as UTF-8, or else as cp1252, the encoding of older Windows files."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return clean(data.decode(encoding, "replace"))
    try:
        return clean(data.decode("utf-8"))
    except UnicodeDecodeError:
        return clean(data.decode("cp1252", "replace"))


def one_line(text: str) -> str:
    """Return the text with all white space reduced to single spaces."""
    return " ".join(text.split())
