"""A checked task on its way into the table."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from uuid import UUID

from .task_item import COLUMN_OF, TaskItem

_COPIED = [name for name in TaskItem.model_fields if name != "params"]
_values_of = attrgetter(*_COPIED)

# The columns of `NewTask.values()`, in its order.
NEW_TASK_COLUMNS = ("task_id", "params", *(COLUMN_OF[name] for name in _COPIED))


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to add, checked by the action that accepted it. `params` is JSON text."""

    task_id: UUID
    item: TaskItem
    params: str

    def values(self) -> tuple[Any, ...]:
        """Return the values of NEW_TASK_COLUMNS: ids are UUIDs, times are datetimes."""
        return (self.task_id, self.params, *_values_of(self.item))
