"""Wording of messages: numbers with nouns, and suggestions for misspelled words."""

import difflib
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 task`, `2 tasks`, `10,000 tasks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def did_you_mean(word: str, known: Iterable[str], way: str = "{!r}") -> str:
    """Return `Did you mean 'start'? ` if a known word is near enough, else an empty text."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"Did you mean {way.format(near[0])}? " if near else ""
