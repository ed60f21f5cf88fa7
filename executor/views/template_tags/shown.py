"""How values look on the pages. The scripts write them the same way (static/executor/js/words.js)."""

from __future__ import annotations

import json
import re
from datetime import datetime

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from executor.views.columns import Column

register = template.Library()

_TICKED = re.compile(r"`([^`\n]+)`")
BAR = ("completed", "failed", "cancelled", "running")


@register.filter
def moment(iso: str | None) -> str:
    """An ISO time to the second. The scripts turn it into the reader's own time zone."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC" if iso else "—"


@register.filter
def seconds(value: float | None) -> str:
    """A duration: 0.42 s, 12.3 s, 3 min 05 s, 2 h 07 min, 3 d 4 h."""
    if value is None:
        return "—"
    if value < 0.001:
        return "0 s"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.5:
        return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


@register.filter
def thousands(value: int | None) -> str:
    return "—" if value is None else f"{value:,}"


@register.filter
def percent(value: float | None) -> str:
    """Whole percents, but never 100 before everything is done."""
    return f"{int(value or 0)} %"


@register.filter
def memory(value: int | None) -> str:
    return "—" if not value else f"{value / 1_048_576:,.0f} MB"


@register.filter
def pretty(value: object) -> str:
    """JSON as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def how_far(progress: list) -> str:
    """What a running task said of its progress: "3 / 10 · resizing"."""
    done, total, text = progress
    return " · ".join(filter(None, [f"{_number(done)} / {_number(total)}" if total else _number(done), text]))


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


@register.filter
def unlocalised(value: float) -> str:
    """A number as an attribute of an element."""
    return f"{value:.6g}"


_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)


@register.filter
def plain(text: str) -> str:
    """A log without what only a terminal understands."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


@register.filter
def value_in(task: dict, column: Column) -> str:
    """A task's value in a column that has no cell of its own; nothing where there is none."""
    value = task.get(column.name)
    return _WRITTEN[column.format](value) if value or (value == 0 and column.format == "seconds") else ""


@register.filter
def item(mapping: dict, key: str) -> object:
    return mapping.get(key)


@register.filter
def first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


@register.filter
def more_doc(function: dict) -> str:
    """What a function's documentation says beyond its summary."""
    return (function["doc"] or "").strip().removeprefix(function["summary"]).strip()


@register.filter
def ticked(text: str) -> SafeString:
    """A text in which what stands between backticks is code."""
    pieces = enumerate(_TICKED.split(text))  # every other one is code
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", piece) if place % 2 else piece,) for place, piece in pieces)
    )


@register.filter
def paragraphs(text: str) -> SafeString:
    """A documentation text: lines of a paragraph flow, those of lists and tables stay as they are."""
    return format_html_join("", "{}", ((_paragraph(part),) for part in re.split(r"\n\s*\n", text.strip("\n"))))


def _paragraph(part: str) -> SafeString:
    if re.search(r"^(\s+|[-*+#|>] |\d+[.)] )", part, re.MULTILINE):
        return format_html("<pre>{}</pre>", ticked(part))
    return format_html("<p>{}</p>", ticked(" ".join(part.split("\n"))))


@register.filter
def fields_of(schema: dict) -> list[dict]:
    """The rows of a function's parameter table."""
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


_WRITTEN = {"text": str, "count": thousands, "seconds": seconds, "moment": moment}


@register.inclusion_tag("executor/_bar.html")
def progress_bar(batch: dict, label: str = "Progress") -> dict:
    """The progress bar: one segment for each status, drawn with SVG attributes because styles inline are forbidden."""
    total = batch["stats"]["total_tasks"]
    segments, at = [], 0.0
    for status in BAR:
        width = 100 * batch["request_counts"][status] / total if total else 0.0
        segments.append({"status": status, "x": f"{at:.3f}%", "width": f"{width:.3f}%"})
        at += width
    return {"segments": segments, "done": batch["stats"]["progress_percentage"], "label": label}


@register.filter
def kind_of(media_type: str) -> str:
    """A media type in a word."""
    known = {"text/plain": "Text", "text/markdown": "Markdown"}
    return known.get(media_type) or ("DOCX" if "wordprocessing" in media_type else media_type.partition("/")[2].upper())
