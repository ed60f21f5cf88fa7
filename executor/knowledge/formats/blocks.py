"""What readers give: blocks of text, and how bytes become text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


class Unreadable(Exception):
    """The file cannot be read; the message says why."""


@dataclass(slots=True)
class Block:
    """A paragraph, list, table row or the like: text that belongs together, the headings above it, and where it is.

    `flowing` text may be divided at its sentences and joined with its neighbours; a row or record stands for itself.
    """

    text: str
    headings: tuple[str, ...] = ()
    position: dict = field(default_factory=dict)
    flowing: bool = True


# Control characters other than tab and newline: databases refuse some of them, and nobody searches for them.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff\ufeff]")


def clean(text: str) -> str:
    """The text without what no database or reader wants."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def decode(data: bytes) -> str:
    """Bytes as text: by their byte order mark, or UTF-8, or else the encoding of older Windows files."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return clean(data.decode(encoding, "replace"))
    try:
        return clean(data.decode("utf-8"))
    except UnicodeDecodeError:
        return clean(data.decode("cp1252", "replace"))


def one_line(text: str) -> str:
    return " ".join(text.split())
