"""Template filters for values."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django import template

from executor.domain import formatting

register = template.Library()

for rule in (
    formatting.attempts,
    formatting.count,
    formatting.duration,
    formatting.first_line,
    formatting.megabytes,
    formatting.moment,
    formatting.percent,
    formatting.pretty,
):
    register.filter(rule)

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
_MEDIA_TYPES = {"text/plain": "Text", "text/markdown": "Markdown"}


@register.filter
def plain_log(text: str) -> str:
    """Return a log without terminal escapes and control characters."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


@register.filter
def item(mapping: Mapping, key: str) -> object:
    """Return the value of a key that is a variable of the template."""
    return mapping.get(key)


@register.filter
def kind_of(media_type: str) -> str:
    """Return a media type in one word, such as "PDF"."""
    known = _MEDIA_TYPES.get(media_type)
    return known or ("DOCX" if "wordprocessing" in media_type else media_type.partition("/")[2].upper())
