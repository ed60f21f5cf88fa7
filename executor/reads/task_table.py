"""The columns of tables of tasks, and the fields of a task's page, for the templates, the scripts and the command line.

A column that shows a field of a task in one of the formats is one entry here. Without scripts a cell is the text of its
format; with scripts a function of the column's name in `static/executor/js/batch/cells.js` may draw it instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import orjson

from executor.domain import formatting
from executor.domain.task_item import COLUMN_OF, TaskItem

Medium = Literal["page", "terminal"]
MAX_CHARS = 100  # of a result or an error in a table

FORMATS: dict[str, Callable] = {  # of a value
    "text": str,
    "code": str,
    "count": formatting.count,
    "duration": formatting.duration,
    "moment": formatting.moment,
}
TASK_FORMATS: dict[str, Callable] = {  # of a task at a time
    "attempts": lambda task, now: formatting.attempts(task),
    "elapsed": formatting.elapsed,
    "note": formatting.note,
    "outcome": lambda task, now: _outcome(task),
    "outlook": formatting.outlook,
    "title": lambda task, now: task["name"] or task["function"],
}


@dataclass(frozen=True)
class Column:
    """A column of the list, or a field of a task's page.

    `name` is the field of the task and the CSS class `c-<name>`. `end` aligns numbers at the end of the cell. `media`
    are the media whose table has the column.
    """

    name: str
    label: str
    format: str = "text"
    end: bool = False
    media: tuple[Medium, ...] = ("page", "terminal")

    def text(self, task: dict, now: datetime) -> str:
        """Return the text of the cell; empty without a value."""
        if self.format in TASK_FORMATS:
            return TASK_FORMATS[self.format](task, now)
        value = task.get(self.name)
        has_value = bool(value) or (value == 0 and self.format == "duration")
        return FORMATS[self.format](value) if has_value else ""


def _outcome(task: dict) -> str:
    """Return the error of a task, or the head of its result."""
    if task.get("error"):
        return task["error"][:MAX_CHARS]
    value = task.get("result")
    text = value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
    return "" if text is None else text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


TABLE = (
    Column("number", "#", format="count", end=True),
    Column("status", "Status"),
    Column("custom_id", "Custom id", media=("terminal",)),
    Column("name", "Task", format="title"),
    Column("function", "Function"),
    Column("priority", "Priority"),
    Column("attempt", "Attempt", format="count", end=True),
    Column("worker", "Worker", media=("page",)),
    Column("time", "Time", format="elapsed", end=True),
    Column("note", "Note", format="note", media=("page",)),
    Column("outcome", "Result or error", format="outcome", media=("terminal",)),
)
COLUMNS = tuple(column for column in TABLE if "page" in column.media)
TERMINAL_COLUMNS = tuple(column for column in TABLE if "terminal" in column.media)

DETAILS: tuple[Column, ...] = (
    Column("outlook", "Now", format="outlook"),
    Column("function", "Function", format="code"),
    Column("priority", "Priority"),
    Column("attempt", "Attempts", format="attempts"),
    Column("created_at", "Created", format="moment"),
    Column("run_after", "Not before", format="moment"),
    Column("started_at", "Started", format="moment"),
    Column("completed_at", "Ended", format="moment"),
    Column("execution_time", "Took", format="duration"),
    Column("worker", "Worker"),
    Column("timeout", "Timeout", format="duration"),
    Column("custom_id", "Custom id", format="code"),
    Column("task_id", "Task id", format="code"),
)
# A field of a task that is not shown elsewhere on its page is shown here without an entry.
_ELSEWHERE = ("name", "params", "max_retries", "retry_delay")
DETAILS += tuple(
    Column(COLUMN_OF[name], field.title or name)
    for name, field in TaskItem.model_fields.items()
    if name not in _ELSEWHERE and COLUMN_OF[name] not in {column.name for column in DETAILS}
)
