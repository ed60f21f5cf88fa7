"""Plain text: paragraphs between empty lines."""

from .blocks import Block, decode


def read(data: bytes) -> list[Block]:
    """Return one block for each paragraph."""
    return paragraphs(decode(data).split("\n"), 1)


def paragraphs(lines: list[str], first: int) -> list[Block]:
    """Return the paragraphs of lines; `first` is the number of the first line."""
    blocks: list[Block] = []
    kept: list[str] = []
    start = first
    for number, line in enumerate([*lines, ""], first):
        if line.strip():
            if not kept:
                start = number
            kept.append(line.rstrip())
        elif kept:
            blocks.append(Block("\n".join(kept), (), {"line": start}))
            kept = []
    return blocks
