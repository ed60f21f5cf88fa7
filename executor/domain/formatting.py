"""Texts for values: durations, numbers, shares, sizes, times, and the note on a task.

The pages, the command line and the admin use these rules. `static/executor/js/formatting.js` has the same rules for
values that change while a page is open; `tests/formats.json` has the examples that both must satisfy.
"""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

from .states import TaskStatus

NOTHING = "—"
MEBIBYTE = 1_048_576


def duration(seconds: float | None) -> str:
    """Return a duration such as "420 ms", "1.2 s", "12 s", "3 min 05 s", "2 h 07 min" or "3 d 4 h"."""
    if seconds is None:
        return NOTHING
    if seconds < 0.001:
        return "0 s"
    if seconds < 0.9995:
        return f"{_rounded(seconds * 1000)} ms"
    if seconds < 9.95:
        return f"{_rounded(seconds * 10) / 10:.1f} s"
    return whole_duration(seconds)


def whole_duration(seconds: float | None) -> str:
    """Return a duration without fractions of a second, for values that change every second."""
    if seconds is None:
        return NOTHING
    whole = max(0, _rounded(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def count(value: int | None) -> str:
    """Return a whole number with separators of thousands."""
    return NOTHING if value is None else f"{value:,}"


def number(value: float) -> str:
    """Return a number with separators and at most two decimals."""
    return f"{_rounded(value * 100) / 100:,.2f}".rstrip("0").rstrip(".")


def percent(value: float | None) -> str:
    """Return whole percents, rounded down: 100 only when everything is done."""
    return f"{math.floor(value or 0)} %"


def megabytes(value: int | None) -> str:
    """Return a size in bytes as megabytes."""
    return f"{_rounded(value / MEBIBYTE):,} MB" if value else NOTHING


def moment(iso: str | None) -> str:
    """Return an ISO time to the second, in UTC. Scripts replace it by the reader's own time zone."""
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC" if iso else NOTHING


def pretty(value: object) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def first_line(text: str | None) -> str:
    """Return the first line of a text without surrounding blanks."""
    return (text or "").strip().partition("\n")[0]


def progress(value: list[Any] | None) -> str:
    """Return the reported progress `[done, total, text]` of a task, such as "3 / 10 · resizing"."""
    if not value:
        return ""
    done, total, text = value
    return _joined(f"{number(done)} / {number(total)}" if total else number(done), text)


def outlook(task: dict[str, Any], now: datetime) -> str:
    """Return the outlook of a task: its progress while it runs, its start or next attempt while it waits."""
    if task["status"] == TaskStatus.RUNNING:
        return progress(task.get("progress"))
    if task["status"] != TaskStatus.QUEUED or not task.get("run_after"):
        return ""
    left = (datetime.fromisoformat(task["run_after"]) - now).total_seconds()
    event = "retry" if task.get("attempt") else "starts"
    return f"{event} in {whole_duration(math.ceil(left))}" if left > 0 else f"{event} now"


def note(task: dict[str, Any], now: datetime) -> str:
    """Return the note on a task: its outlook, and the error of its last attempt unless it runs."""
    error = "" if task["status"] == TaskStatus.RUNNING else first_line(task.get("error"))
    return _joined(outlook(task, now), error)


def attempts(task: dict[str, Any]) -> str:
    """Return the number of attempts and of retries, such as "2 · retry 1 of 3"."""
    used, most = task["retry_count"], task["max_retries"]
    if used:
        return f"{task['attempt']} · retry {used} of {most}"
    return f"{task['attempt']} · up to {most} {'retry' if most == 1 else 'retries'}"


def elapsed(task: dict[str, Any], now: datetime) -> str:
    """Return how long a task took, or for how long it has been running."""
    if task["status"] != TaskStatus.RUNNING:
        return "" if task.get("execution_time") is None else duration(task["execution_time"])
    if not task.get("started_at"):
        return ""
    seconds = (now - datetime.fromisoformat(task["started_at"])).total_seconds()
    return whole_duration(math.floor(seconds)) if seconds >= 1 else ""


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _rounded(value: float) -> int:
    """Round half up, as JavaScript does."""
    return math.floor(value + 0.5)
