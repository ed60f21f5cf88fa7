"""The columns of a task: what answers and exports carry, and what tables show.

A field of a task (executor.domain.task_item) is in every answer by itself. A table shows it after one entry in TABLE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from executor.domain.task_item import COLUMN_OF

Medium = Literal["page", "terminal"]

# Of the fields of a task, lists leave out what may be large or is of interest on the page of a task only.
_DETAIL_FIELDS = ("params", "retry_delay", "timeout")
_RESULT_FIELDS = (
    *("task_id", "batch_id", "number", "custom_id", "name", "function", "priority", "status", "result", "error"),
    *("error_kind", "retry_count", "max_retries", "attempt", "created_at", "started_at", "completed_at"),
    *("execution_time", "worker", "run_after", "progress"),
)

# The columns of results and exports, in order: a new field of a task stands at the end.
RESULT_COLUMNS = (
    *_RESULT_FIELDS,
    *(column for column in COLUMN_OF.values() if column not in _RESULT_FIELDS and column not in _DETAIL_FIELDS),
)
# What the answer for a single task has besides.
DETAIL_COLUMNS = (*_DETAIL_FIELDS, "dispatched_at", "cancel_requested_at")

TIME_COLUMNS = ("created_at", "started_at", "completed_at", "run_after", "dispatched_at", "cancel_requested_at")
JSON_COLUMNS = ("result", "progress")  # values are JSON text in the database
EMPTY_IS_NONE = ("error", "error_kind", "worker")  # an empty text is shown as none
# Columns of a list whose text comes from callers and their programs.
FOREIGN_TEXT = tuple(
    name
    for name in RESULT_COLUMNS
    if name in (*COLUMN_OF.values(), *EMPTY_IS_NONE) and name not in ("priority", "max_retries", *TIME_COLUMNS)
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table of tasks.

    `name` is the field of the task, or the cell that a medium computes. `end` puts values at the end of the cell, where
    numbers are compared. `cell` names the page's own cell where a formatted value is not enough. `media` are the media
    that show it.
    """

    name: str
    label: str
    format: Literal["text", "count", "seconds", "moment"] = "text"
    end: bool = False
    cell: str = ""
    media: tuple[Medium, ...] = ("page", "terminal")


TABLE = (
    Column("number", "#", end=True, cell="number"),
    Column("status", "Status", cell="status"),
    Column("custom_id", "Custom id", media=("terminal",)),
    Column("name", "Task", cell="name"),
    Column("function", "Function"),
    Column("priority", "Priority", cell="priority"),
    Column("attempt", "Attempt", format="count", end=True),
    Column("worker", "Worker", media=("page",)),
    Column("time", "Time", end=True, cell="time", media=("page",)),
    Column("execution_time", "Seconds", format="seconds", end=True, media=("terminal",)),
    Column("note", "Note", cell="note"),
)


def table(medium: Medium) -> tuple[Column, ...]:
    """Return the columns that a medium shows."""
    return tuple(column for column in TABLE if medium in column.media)
