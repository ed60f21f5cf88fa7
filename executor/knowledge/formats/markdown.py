"""Markdown: its outermost elements under their headings, as they are written."""

import re

from markdown_it import MarkdownIt

from .blocks import Block, decode

_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)[ \t]*\n", re.DOTALL)
_PARSER = MarkdownIt("commonmark").enable("table").disable("inline")  # where the blocks are is all we need


def read(data: bytes) -> list[Block]:
    text = decode(data)
    if found := _FRONT_MATTER.match(text):
        text = "\n" * found[0].count("\n") + text[found.end() :]  # the lines keep their numbers
    lines = text.split("\n")
    headings: list[tuple[int, str]] = []
    blocks: list[Block] = []
    in_heading = False
    for token in _PARSER.parse(text):
        if token.level != 0 and not in_heading:
            continue
        if token.type == "heading_open":
            in_heading = True
            level = int(token.tag[1])
            headings = [each for each in headings if each[0] < level]
        elif token.type == "heading_close":
            in_heading = False
        elif in_heading:
            headings.append((level, _plain(token.content)))
        elif token.map and token.nesting >= 0 and token.type not in ("hr", "html_block"):
            first, end = token.map
            body = "\n".join(lines[first:end]).strip("\n")
            if body.strip():
                blocks.append(Block(body, tuple(title for _, title in headings), {"line": first + 1}))
        elif token.type == "html_block" and token.map:
            body = re.sub(r"<!--.*?-->|<[^>]*>", " ", token.content).strip()
            if body:
                blocks.append(Block(body, tuple(title for _, title in headings), {"line": token.map[0] + 1}))
    return blocks or [Block(title, (), {"line": 1}) for _, title in headings]


def _plain(heading: str) -> str:
    """A heading without marks: `**`, backticks, and links but for their texts."""
    return re.sub(r"[*`]+", "", re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip()
