"""How values look in the admin: JSON and tracebacks as text that can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from executor.domain.formatting import NOTHING

LONGEST = 100_000  # characters of one value on a page


def text(value: str | None) -> SafeString | str:
    """Text as it was written, line by line."""
    if not value:
        return NOTHING
    if len(value) > LONGEST:
        value = f"{value[:LONGEST]}\n… {len(value) - LONGEST:,} more characters"
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
