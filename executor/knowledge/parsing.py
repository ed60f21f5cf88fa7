"""Content of a file: its pieces, and a hash that identifies it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .formats import Block, Format
from .splitting import Piece, split


@dataclass(slots=True)
class ParsedFile:
    """Content of a file. `heading` is common to all of it. The same content has the same hash in every format."""

    pieces: list[Piece]
    characters: int
    content_hash: str
    heading: str


def parse(kind: Format, data: bytes) -> ParsedFile:
    """Parse a file. Raises Unreadable."""
    blocks = kind.read(data)
    return ParsedFile(split(blocks), sum(len(block.text) for block in blocks), _hash(blocks), _heading(blocks))


def _hash(blocks: list[Block]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update("\x1f".join([*block.headings, block.text]).encode() + b"\x1e")
    return digest.hexdigest()


def _heading(blocks: list[Block]) -> str:
    first = {block.headings[:1] for block in blocks}
    return "".join(first.pop()) if len(first) == 1 else ""
