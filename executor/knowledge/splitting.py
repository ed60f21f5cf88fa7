"""Blocks into chunks: pieces that are found as a whole, small enough to be about one thing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from .formats import Block
from .sentences import pieces

SIZE = 800  # characters that a chunk aims at
LONGEST = 1200  # and may have at most
OVERLAP = 160  # of a divided paragraph's last sentence, repeated in the next chunk where it is no longer than this
SECTION = 500

# How code, tables and lists begin.
_STRUCTURE = re.compile(r"\s|```|~~~|\||[-*+>] |\d+[.)] ")


@dataclass(slots=True)
class Piece:
    """A chunk before it is stored."""

    text: str
    section: str
    position: dict = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return hashlib.sha256(" ".join(self.text.split()).casefold().encode()).hexdigest()[:32]

    @property
    def told(self) -> str:
        """What its vector is made of: a piece means little without its headings."""
        return f"{self.section}\n{self.text}" if self.section else self.text


def split(blocks: Iterable[Block]) -> list[Piece]:
    """The chunks of a document. A text that it repeats is kept once."""
    chunks: dict[str, Piece] = {}
    for headings, group in groupby(blocks, lambda block: block.headings):
        section = " › ".join(headings)[:SECTION]
        for text, position in _joined(group):
            piece = Piece(text, section, position)
            chunks.setdefault(f"{section} {piece.digest}", piece)
    return list(chunks.values())


def _joined(blocks: Iterable[Block]) -> Iterator[tuple[str, dict]]:
    """Neighbours under the same headings, joined until they are a chunk."""
    kept: list[str] = []
    size, position = 0, {}
    for block in blocks:
        between = "\n\n" if block.flowing else "\n"
        for text in _divided(block):
            if kept and size + len(text) > SIZE:
                yield "".join(kept), position
                kept, size = [], 0
            if not kept:
                position = block.position
            kept += [between, text] if kept else [text]
            size += len(text) + 2
    if kept:
        yield "".join(kept), position


def _divided(block: Block) -> Iterator[str]:
    """A block as it is, or in several parts where it is too long."""
    if len(block.text) <= LONGEST:
        yield block.text
        return
    prose = _is_prose(block.text)
    parts = _sentences(block.text) if prose else _lines(block.text)
    overlap = OVERLAP if prose and block.flowing else 0
    between = " " if prose else "\n"
    kept: list[str] = []
    size = 0
    fresh = False  # whether there is more than the sentence that was repeated
    for part in parts:
        if fresh and size + len(part) > SIZE:
            yield between.join(kept)
            kept = kept[-1:] if len(kept[-1]) <= overlap else []
            size, fresh = sum(map(len, kept)), False
        kept.append(part)
        size += len(part) + 1
        fresh = True
    if fresh:
        yield between.join(kept)


def _sentences(text: str) -> Iterator[str]:
    return pieces(" ".join(text.split()), SIZE)


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if len(line) <= SIZE:
            yield line
        else:
            yield from pieces(line, SIZE)


def _is_prose(text: str) -> bool:
    """Whether its line ends mean nothing: not those of code, tables, lists and logs."""
    first, *others = text.strip("\n").split("\n")
    if not others:
        return True
    if _STRUCTURE.match(first):
        return False
    # In wrapped prose many lines begin in the middle of a sentence.
    return sum(line[:1].islower() for line in others) * 3 >= len(others)
