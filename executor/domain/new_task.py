"""A checked task on its way into the table."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from .task_item import COLUMN_OF, TaskItem

_COPIED = [name for name in TaskItem.model_fields if name not in ("params", "run_at")]
_values_of = attrgetter(*_COPIED, "run_at")

# The columns of a new task, in the order of its values: the id is first, the only time is last.
NEW_TASK_COLUMNS = ("task_id", "params", *(COLUMN_OF[name] for name in _COPIED), COLUMN_OF["run_at"])
_PLACE = {column: place for place, column in enumerate(NEW_TASK_COLUMNS)}
_CUSTOM_ID, _PRIORITY = _PLACE["custom_id"], _PLACE["priority"]


class NewTask(tuple[Any, ...]):
    """The values of NEW_TASK_COLUMNS: the id is a UUID, `params` JSON text, `run_after` a datetime or None.

    A call may add 100,000 tasks: a tuple takes a sixth of the memory of the validated TaskItem.
    """

    __slots__ = ()

    @classmethod
    def of(cls, task_id: UUID, item: TaskItem, params: str) -> NewTask:
        """Return the task of a validated item, whose parameters are given as JSON text."""
        return cls((task_id, params, *_values_of(item)))

    @property
    def task_id(self) -> UUID:
        return self[0]  # type: ignore[no-any-return]

    @property
    def custom_id(self) -> str | None:
        return self[_CUSTOM_ID]  # type: ignore[no-any-return]

    @property
    def priority(self) -> int:
        return self[_PRIORITY]  # type: ignore[no-any-return]

    @property
    def run_after(self) -> datetime | None:
        return self[-1]  # type: ignore[no-any-return]
