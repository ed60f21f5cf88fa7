"""HTML: the text of its paragraphs, list items and table rows under their headings."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from .blocks import Block, Unreadable, clean, decode, one_line

_DROPPED = ["script", "style", "noscript", "template", "nav", "svg", "iframe", "object", "button", "select", "head"]
_BLOCK_NAMES = """
    p li pre blockquote tr dt dd figcaption caption h1 h2 h3 h4 h5 h6 div section article main aside header footer
    address details summary body html ul ol dl table tbody thead figure form fieldset td th
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MAX_ANCESTORS = 500  # visited, as in browsers
_MAX_DEPTH = 3_000  # nested elements; the parser takes quadratic time
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]{0,30})")
# Elements that are never closed, or need not be.
_UNCLOSED_NAMES = """
    area base br col embed hr img input link meta source track wbr html head body p li dt dd tr td th thead tbody
    tfoot colgroup option optgroup rt rp
"""
_UNCLOSED = frozenset(_UNCLOSED_NAMES.split())


def read(data: bytes) -> list[Block]:
    """Return the blocks of a page. Raises Unreadable."""
    text = decode(data)
    if _depth(text) > _MAX_DEPTH:
        raise Unreadable(f"More than {_MAX_DEPTH:,} of its elements are nested.")
    tree = LexborHTMLParser(text)
    if tree.body is None:
        raise Unreadable("The page has no body.")
    title_element = tree.css_first("title")
    title = one_line(title_element.text()) if title_element else ""
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
    """Return an upper bound of the nesting depth of elements."""
    depth = deepest = 0
    for tag in _TAG.finditer(text):
        if tag[2].lower() not in _UNCLOSED:
            depth = max(0, depth + (-1 if tag[1] else 1))
            deepest = max(deepest, depth)
    return deepest


def _texts(body: LexborNode) -> Iterator[tuple[str, str]]:
    """Yield (tag, text) of each block: consecutive text nodes with the same nearest block element."""
    current, tag, pieces, cell = None, "", [], None
    for node in body.traverse(include_text=True):
        if node.tag == "br":
            pieces.append("\n")
        if node.tag != "-text":
            continue
        block, here = _container(node)
        if block is None:
            continue
        if block.mem_id != current:
            if pieces:
                yield tag, "".join(pieces)
            current, tag, pieces, cell = block.mem_id, block.tag or "", [], here
        elif here != cell:
            pieces.append(" | ")
            cell = here
        pieces.append(node.text_content or "")
    if pieces:
        yield tag, "".join(pieces)


def _container(node: LexborNode) -> tuple[LexborNode | None, int | None]:
    """Return the block element of a text node, and its table cell; the block of a cell is its row."""
    cell, found = None, node.parent
    for _ in range(_MAX_ANCESTORS):
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
