"""Markdown: its outermost elements under their headings, as source text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from .blocks import Block, decode

_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)[ \t]*\n", re.DOTALL)
_PARSER = MarkdownIt("commonmark").enable("table").disable("inline")  # only the positions of blocks are needed


def read(data: bytes) -> list[Block]:
    """Return the blocks of a Markdown file."""
    text = _without_front_matter(decode(data))
    lines = text.split("\n")
    headings: list[tuple[int, str]] = []
    blocks: list[Block] = []
    for token in _outermost(_PARSER.parse(text)):
        if token.type == "heading_open":
            level = int(token.tag[1])
            headings = [heading for heading in headings if heading[0] < level]
        elif token.type == "inline":  # among the outermost tokens only the text of a heading
            headings.append((level, _plain(token.content)))
        elif body := _body(token, lines):
            first_line = token.map[0] + 1 if token.map else 1
            blocks.append(Block(body, tuple(title for _, title in headings), {"line": first_line}))
    return blocks or [Block(title, (), {"line": 1}) for _, title in headings]


def _without_front_matter(text: str) -> str:
    """Replace the front matter by empty lines, so that the other lines keep their numbers."""
    found = _FRONT_MATTER.match(text)
    return "\n" * found[0].count("\n") + text[found.end() :] if found else text


def _outermost(tokens: Iterable[Token]) -> Iterator[Token]:
    """Yield the tokens that are not inside another block, and the text of headings."""
    in_heading = False
    for token in tokens:
        if token.level == 0 or in_heading:
            yield token
        if token.level == 0:
            in_heading = token.type == "heading_open"


def _body(token: Token, lines: list[str]) -> str:
    """Return the text of a block, or an empty string if the token is none."""
    if token.map is None or token.nesting < 0 or token.type == "hr":
        return ""
    if token.type == "html_block":
        return re.sub(r"<!--.*?-->|<[^>]*>", " ", token.content).strip()
    first, end = token.map
    body = "\n".join(lines[first:end]).strip("\n")
    return body if body.strip() else ""


def _plain(heading: str) -> str:
    """Return a heading without markup: `**`, backticks, and links reduced to their texts."""
    return re.sub(r"[*`]+", "", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip()
