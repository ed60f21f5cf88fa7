"""Division of blocks into pieces: the units of search, small enough to cover one topic."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from .formats import Block
from .sentences import split_text

# Characters.
TARGET_SIZE = 800
MAX_SIZE = 1200
MAX_OVERLAP = 160  # the next piece of a divided paragraph repeats the last sentence unless it is longer than this
MAX_SECTION = 500

# First characters of code, tables and lists.
_STRUCTURE = re.compile(r"\s|```|~~~|\||[-*+>] |\d+[.)] ")


@dataclass(slots=True)
class Piece:
    """A chunk before it is stored."""

    text: str
    section: str
    position: dict = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hash of the text, ignoring case and white space."""
        return hashlib.sha256(" ".join(self.text.split()).casefold().encode()).hexdigest()[:32]

    @property
    def embedded_text(self) -> str:
        """Input of the embedder: a piece means little without its headings."""
        return f"{self.section}\n{self.text}" if self.section else self.text


def split(blocks: Iterable[Block]) -> list[Piece]:
    """Return the pieces of a document. A repeated text is kept once."""
    found: dict[str, Piece] = {}
    for headings, group in groupby(blocks, lambda block: block.headings):
        section = " › ".join(headings)[:MAX_SECTION]
        for text, position in _joined(group):
            piece = Piece(text, section, position)
            found.setdefault(f"{section} {piece.digest}", piece)
    return list(found.values())


def _joined(blocks: Iterable[Block]) -> Iterator[tuple[str, dict]]:
    """Join neighbouring blocks under the same headings up to the target size."""
    kept: list[str] = []
    size = 0
    position: dict = {}
    for block in blocks:
        separator = "\n\n" if block.flowing else "\n"
        for text in _divided(block):
            if kept and size + len(text) > TARGET_SIZE:
                yield "".join(kept), position
                kept, size = [], 0
            if not kept:
                position = block.position
            kept += [separator, text] if kept else [text]
            size += len(text) + 2
    if kept:
        yield "".join(kept), position


def _divided(block: Block) -> Iterator[str]:
    """Yield a block whole, or in several parts if it is too long."""
    if len(block.text) <= MAX_SIZE:
        yield block.text
        return
    prose = _is_prose(block.text)
    parts = _sentences(block.text) if prose else _lines(block.text)
    overlap = MAX_OVERLAP if prose and block.flowing else 0
    separator = " " if prose else "\n"
    kept: list[str] = []
    size = 0
    has_new = False  # whether `kept` holds more than the repeated sentence
    for part in parts:
        if has_new and size + len(part) > TARGET_SIZE:
            yield separator.join(kept)
            kept = kept[-1:] if len(kept[-1]) <= overlap else []
            size, has_new = sum(map(len, kept)), False
        kept.append(part)
        size += len(part) + 1
        has_new = True
    if has_new:
        yield separator.join(kept)


def _sentences(text: str) -> Iterator[str]:
    return split_text(" ".join(text.split()), TARGET_SIZE)


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if len(line) <= TARGET_SIZE:
            yield line
        else:
            yield from split_text(line, TARGET_SIZE)


def _is_prose(text: str) -> bool:
    """Return whether line ends are insignificant, unlike in code, tables, lists and logs."""
    first, *others = text.strip("\n").split("\n")
    if not others:
        return True
    if _STRUCTURE.match(first):
        return False
    # In wrapped prose many lines start inside a sentence.
    return sum(line[:1].islower() for line in others) * 3 >= len(others)
