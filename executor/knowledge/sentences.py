"""Division of texts at sentence boundaries, else between words."""

from __future__ import annotations

import re
from collections.abc import Iterator

# The end of a sentence: its mark, closing quotes or brackets, then space and a possible start of the next; or a mark of
# scripts without spaces between sentences. Possessive quantifiers, and matching a run of marks only from its start,
# prevent backtracking: a file of a million dots must not take quadratic time.
_END = re.compile(r"""(?<![.!?…])[.!?…]++["'»“”’)\]]*+(?=\s++(?:["'«“„‘(\[]*+[^\W\d_a-z]|\d))|[。！？]|\n""")
_WORD = re.compile(r"\S|\Z")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|approx|No|Nr|Vol|Fig|pp?)\.$"
)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text, in order, without the space between them."""
    start = 0
    for end in _END.finditer(text):
        if _ABBREVIATION.search(text, max(start, end.end() - 12), end.end()):
            continue
        if piece := text[start : end.end()].strip():
            yield piece
        start = end.end()
    if piece := text[start:].strip():
        yield piece


def split_text(text: str, max_length: int) -> Iterator[str]:
    """Yield the sentences. Long sentences are divided between words, and long words are cut."""
    for sentence in sentences(text):
        start = 0
        while len(sentence) - start > max_length:
            cut = sentence.rfind(" ", start + max_length // 2, start + max_length + 1)
            cut = cut if cut > 0 else start + max_length
            yield sentence[start:cut].rstrip()
            next_word = _WORD.search(sentence, cut)
            start = next_word.start() if next_word else len(sentence)
        if start < len(sentence):
            yield sentence[start:]
