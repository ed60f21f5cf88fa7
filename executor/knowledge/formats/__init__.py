"""File formats, and the reader of each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import PurePath

from .blocks import Block, Unreadable


@dataclass(frozen=True)
class Format:
    """A file format. `name` is the module of its reader."""

    name: str
    media_type: str
    suffixes: tuple[str, ...]

    def read(self, data: bytes) -> list[Block]:
        """Return the blocks of a file. Raises Unreadable."""
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
    """Return the format of a file by its name and its first bytes.

    Raises Unreadable if it is neither a known format nor text.
    """
    known = SUFFIXES.get(PurePath(name).suffix.lower())
    if known is not None and known.name in ("pdf", "docx"):
        magic = {"pdf": b"%PDF-", "docx": b"PK\x03\x04"}[known.name]
        if magic not in data[:1024]:
            raise Unreadable(f"It is not a {known.name.upper()} file, despite its name.")
        return known
    if data[:5] == b"%PDF-":
        return BY_NAME["pdf"]
    if b"\x00" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        suffixes = ", ".join(sorted(SUFFIXES))
        raise Unreadable(f"It is neither text nor a known format. Known are {suffixes}.")
    return known or TEXT


__all__ = ["BY_NAME", "FORMATS", "SUFFIXES", "Block", "Format", "Unreadable", "format_of"]
