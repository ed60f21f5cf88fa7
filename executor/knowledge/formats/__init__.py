"""The text of a file: which reader a file name calls for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import PurePath

from .blocks import Block, Unreadable


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    name: str
    media_type: str
    suffixes: tuple[str, ...]

    def read(self, data: bytes) -> list[Block]:
        """The blocks of a file. Raises Unreadable."""
        return importlib.import_module(f"{__name__}.{self.name}").read(data)


FORMATS = (
    Format("markdown", "text/markdown", (".md", ".markdown", ".mdx")),
    Format("html", "text/html", (".html", ".htm", ".xhtml")),
    Format("pdf", "application/pdf", (".pdf",)),
    Format("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", (".docx",)),
    Format("csv", "text/csv", (".csv", ".tsv")),
    Format("json", "application/json", (".json", ".jsonl", ".ndjson")),
    Format("text", "text/plain", (".txt", ".text", ".log", ".rst", ".adoc", ".org", ".tex")),
)
SUFFIXES = {suffix: each for each in FORMATS for suffix in each.suffixes}
TEXT = FORMATS[-1]
BY_NAME = {each.name: each for each in FORMATS}


def format_of(name: str, data: bytes) -> Format:
    """The format that a file's name and its first bytes call for.

    Raises Unreadable for one that is none of them and no text either.
    """
    known = SUFFIXES.get(PurePath(name).suffix.lower())
    if known is not None and known.name in ("pdf", "docx"):
        magic = {"pdf": b"%PDF-", "docx": b"PK\x03\x04"}[known.name]
        if magic not in data[:1024]:
            raise Unreadable(f"It is no {known.name.upper()} file, whatever its name says.")
        return known
    if data[:5] == b"%PDF-":
        return BY_NAME["pdf"]
    if b"\x00" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        known_ones = ", ".join(sorted(SUFFIXES))
        raise Unreadable(f"It is no text and of no known kind. Known are {known_ones}.")
    return known or TEXT


__all__ = ["BY_NAME", "FORMATS", "SUFFIXES", "Block", "Format", "Unreadable", "format_of"]
