"""HTML: the text of its paragraphs, list items and table rows under their headings."""

import re

from selectolax.lexbor import LexborHTMLParser

from .blocks import Block, Unreadable, clean, decode, one_line

_DROPPED = ["script", "style", "noscript", "template", "nav", "svg", "iframe", "object", "button", "select", "head"]
_BLOCK_NAMES = """
    p li pre blockquote tr dt dd figcaption caption h1 h2 h3 h4 h5 h6 div section article main aside header footer
    address details summary body html ul ol dl table tbody thead figure form fieldset td th
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DEEPEST = 500  # ancestors that are looked at, as browsers do
_TOO_DEEP = 3_000  # elements within each other, which the parser takes the square of in time
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]{0,30})")
# Those that never are closed, or need not be.
_UNCLOSED_NAMES = """
    area base br col embed hr img input link meta source track wbr html head body p li dt dd tr td th thead tbody
    tfoot colgroup option optgroup rt rp
"""
_UNCLOSED = frozenset(_UNCLOSED_NAMES.split())


def read(data: bytes) -> list[Block]:
    text = decode(data)
    if _depth(text) > _TOO_DEEP:
        raise Unreadable(f"More than {_TOO_DEEP:,} of its elements stand within each other.")
    tree = LexborHTMLParser(text)
    if tree.body is None:
        raise Unreadable("The page has no body.")
    title = one_line(tree.css_first("title").text()) if tree.css_first("title") else ""
    tree.strip_tags(_DROPPED, recursive=True)
    headings: list[tuple[int, str]] = []
    blocks: list[Block] = []
    for tag, text in _texts(tree.body):
        if tag in _HEADINGS:
            level = _HEADINGS[tag]
            headings = [each for each in headings if each[0] < level] + [(level, one_line(text))]
            continue
        body = text.strip("\n") if tag == "pre" else one_line(text)
        if body.strip(" |\n"):
            above = tuple(each for _, each in headings) or ((title,) if title else ())
            blocks.append(Block(clean(body), above, {"paragraph": len(blocks) + 1}))
    return blocks or [Block(text, (), {"paragraph": 1}) for _, text in headings]


def _depth(text: str) -> int:
    """How deep the elements may stand within each other at most."""
    depth = deepest = 0
    for tag in _TAG.finditer(text):
        if tag[2].lower() not in _UNCLOSED:
            depth = max(0, depth + (-1 if tag[1] else 1))
            deepest = max(deepest, depth)
    return deepest


def _texts(body):
    """(tag, text) of each block: the text nodes that share their nearest block element and follow each other."""
    current, tag, pieces, cell = None, "", [], None
    for node in body.traverse(include_text=True):
        if node.tag == "br":
            pieces.append("\n")
        if node.tag != "-text":
            continue
        block, here = _home(node)
        if block is None:
            continue
        if block.mem_id != current:
            if pieces:
                yield tag, "".join(pieces)
            current, tag, pieces, cell = block.mem_id, block.tag, [], here
        elif here != cell:
            pieces.append(" | ")
            cell = here
        pieces.append(node.text_content or "")
    if pieces:
        yield tag, "".join(pieces)


def _home(node):
    """The block that a text stands in, and the table cell; a cell's block is its row."""
    cell, found = None, node.parent
    for _ in range(_DEEPEST):
        if found is None or found.tag == "pre":
            break
        if found.tag in ("td", "th") and cell is None:
            cell = found.mem_id
        elif found.tag == "tr" or (cell is None and found.tag in _BLOCKS):
            break
        found = found.parent
    else:
        return None, None
    return found, cell
