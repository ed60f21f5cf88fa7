"""The columns of the task table, for the template and for the scripts alike.

A column that shows a field of a task as it is needs one entry here. One that is more than a formatted value names its
own cell: `templates/executor/cells/<cell>.html` and the function of that name in `static/executor/js/batch/cells.js`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

FORMATS = ("text", "count", "seconds", "moment")


@dataclass(frozen=True)
class Column:
    """`name` is the field of the task and the CSS class `c-<name>`. `end` puts values at the end of the cell, where
    numbers are compared."""

    name: str
    label: str
    format: str = "text"
    cell: str = ""
    end: bool = False

    @property
    def css(self) -> str:
        return f"c-{self.name} num" if self.end else f"c-{self.name}"

    @property
    def template(self) -> str:
        return f"executor/cells/{self.cell or 'value'}.html"

    def as_dict(self) -> dict:
        """What the scripts need to know of it."""
        return {**asdict(self), "css": self.css}


COLUMNS = (
    Column("number", "#", cell="number", end=True),
    Column("status", "Status", cell="status"),
    Column("name", "Task", cell="name"),
    Column("function", "Function"),
    Column("priority", "Priority", cell="priority"),
    Column("attempt", "Attempt", format="count", end=True),
    Column("worker", "Worker"),
    Column("time", "Time", cell="time", end=True),
    Column("note", "Note", cell="note"),
)
