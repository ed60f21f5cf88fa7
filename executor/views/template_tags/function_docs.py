"""Template filters for the documentation of task functions."""

from __future__ import annotations

import json
import re

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

_CODE = re.compile(r"`([^`\n]+)`")
_PREFORMATTED = re.compile(r"^(\s+|[-*+#|>] |\d+[.)] )", re.MULTILINE)


@register.filter
def inline_code(text: str) -> SafeString:
    """Return a text with the parts between backticks as code."""
    pieces = enumerate(_CODE.split(text))  # every other one is code
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", piece) if index % 2 else piece,) for index, piece in pieces)
    )


@register.filter
def paragraphs(text: str) -> SafeString:
    """Return a text with flowing paragraphs; lists and tables keep their lines."""
    return format_html_join("", "{}", ((_paragraph(part),) for part in re.split(r"\n\s*\n", text.strip("\n"))))


def _paragraph(part: str) -> SafeString:
    if _PREFORMATTED.search(part):
        return format_html("<pre>{}</pre>", inline_code(part))
    return format_html("<p>{}</p>", inline_code(" ".join(part.split("\n"))))


@register.filter
def doc_body(function: dict) -> str:
    """Return a function's documentation without its summary."""
    return (function["doc"] or "").strip().removeprefix(function["summary"]).strip()


@register.filter
def parameter_rows(schema: dict) -> list[dict]:
    """Return the rows of a function's parameter table."""
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "type": _type(part),
            "required": name in required,
            "default": json.dumps(part["default"]) if part.get("default") is not None else "",
            "description": part.get("description", ""),
        }
        for name, part in schema.get("properties", {}).items()
    ]


def _type(part: dict) -> str:
    if "enum" in part:
        return " | ".join(str(value) for value in part["enum"])
    if reference := part.get("$ref"):
        return reference.rpartition("/")[2]
    if options := part.get("anyOf"):
        return " | ".join(_type(option) for option in options)
    if part.get("type") == "array":
        return f"list of {_type(part.get('items') or {})}"
    return part.get("type", "any")
