"""Where a text may be divided: after its sentences, or else between words."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The end of a sentence: its mark, closing quotes or brackets, then space and something that can begin one; or a mark of
# scripts that put no space between sentences. Nothing is tried twice (the possessive `++`, and a run of marks only from
# its beginning): whoever uploads a million dots must not stop the clock.
_END = re.compile(r"""(?<![.!?…])[.!?…]++["'»“”’)\]]*+(?=\s++(?:["'«“„‘(\[]*+[^\W\d_a-z]|\d))|[。！？]|\n""")
_WORD = re.compile(r"\S|\Z")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|approx|No|Nr|Vol|Fig|pp?)\.$"
)


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, in order, without the space between them."""
    start = 0
    for end in _END.finditer(text):
        if _ABBREVIATION.search(text, max(start, end.end() - 12), end.end()):
            continue
        if piece := text[start : end.end()].strip():
            yield piece
        start = end.end()
    if piece := text[start:].strip():
        yield piece


def pieces(text: str, longest: int) -> Iterator[str]:
    """The sentences, those that are too long divided between words, and words that are too long cut."""
    for sentence in sentences(text):
        start = 0
        while len(sentence) - start > longest:
            cut = sentence.rfind(" ", start + longest // 2, start + longest + 1)
            cut = cut if cut > 0 else start + longest
            yield sentence[start:cut].rstrip()
            start = _WORD.search(sentence, cut).start()
        if start < len(sentence):
            yield sentence[start:]
