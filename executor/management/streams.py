"""Output streams of commands."""

from typing import TextIO, cast

from django.core.management.base import OutputWrapper


def plain(stream: OutputWrapper) -> TextIO:
    """Return a command's stream without the line ending and the style that Django adds to each write."""
    stream.ending = ""
    stream.style_func = None
    return cast(TextIO, stream)
