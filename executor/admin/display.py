"""Values on the pages of the admin: JSON and tracebacks as readable text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from executor.domain.formatting import NOTHING

MAX_CHARS = 100_000  # of one value on a page


def text(value: str | None) -> SafeString | str:
    """Return a text with its line breaks."""
    if not value:
        return NOTHING
    if len(value) > MAX_CHARS:
        value = f"{value[:MAX_CHARS]}\n… {len(value) - MAX_CHARS:,} more characters"
    return format_html('<pre class="value" tabindex="0">{}</pre>', value)


def json(value: Any) -> SafeString | str:
    """Return a value as indented JSON. Line breaks in its texts stay escaped, so that it can be copied."""
    if value is None:
        return NOTHING
    return text(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def link(url_name: str, key: Any, label: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(url_name, args=[key]), label)


def column(label: str, show: Callable, name: str) -> Callable:
    """Return a read-only field of an admin page that shows the attribute `name` by `show`."""

    @admin.display(description=label)
    def field(admin_page, row):
        return show(getattr(row, name))

    return field
