"""The parameters that select the tasks which `cancel`, `retry` and `update` act on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from pydantic import Field, model_validator

from executor.domain.errors import BadRequest
from executor.domain.parameter_types import BatchName, Ids, Numbers, PriorityFilter, StatusFilter, Text
from executor.models import BatchTask
from executor.reads.lookups import IDS_PER_QUERY, tasks_by_custom_ids, tasks_by_ids, tasks_by_numbers
from executor.reads.task_filter import TaskFilter

from .call import Call, Parameters


class Selection(Parameters):
    """Tasks by id, custom id or number, or all tasks of a batch that match a filter."""

    task_ids: Ids | None = Field(None, description="These tasks, of any batch.")
    custom_ids: Ids | None = Field(None, description="These tasks of the batch, by their custom ids.")
    numbers: Numbers | None = Field(None, description="These tasks of the batch, by their numbers.")
    batch: BatchName
    status: StatusFilter
    function: Text = Field("", description="Only tasks of this function.")
    q: Text = Field("", description="Only tasks with this text in name, custom id, function or error.")

    @model_validator(mode="before")
    @classmethod
    def _single_id(cls, values: Any) -> Any:
        if isinstance(values, dict) and "task_id" in values and "task_ids" not in values:
            values = {**values, "task_ids": values["task_id"]}
            del values["task_id"]
        return values

    @property
    def priorities(self) -> Sequence[str]:
        """The priorities of the filter."""
        return ()

    @property
    def filters(self) -> TaskFilter:
        return TaskFilter(self.status, self.priorities, self.function, self.q)

    def selected(self, call: Call) -> list[tuple[UUID, QuerySet]]:
        """Return pairs of a batch and selected tasks of it.

        Raises NotFound for ids that do not exist, BadRequest when nothing was selected.
        """
        if self.task_ids is not None:
            found = tasks_by_ids(self.task_ids)
            return [(batch_id, part) for batch_id, ids in found.items() for part in self._parts(ids)]
        if self.custom_ids is not None or self.numbers is not None:
            batch = call.batch(self.batch)
            ids = tasks_by_custom_ids(batch, self.custom_ids or ()) + tasks_by_numbers(batch, self.numbers or ())
            return [(batch.batch_id, part) for part in self._parts(list(dict.fromkeys(ids)))]
        if not self.batch and not self.filters:
            raise BadRequest("No tasks are selected.", fix="Give `task_ids`, `custom_ids`, `numbers` or `batch`.")
        batch = call.batch(self.batch)
        return [(batch.batch_id, self.filters.apply(BatchTask.objects.filter(batch_id=batch.batch_id)))]

    def _parts(self, ids: list[UUID]) -> Iterator[QuerySet]:
        for start in range(0, len(ids), IDS_PER_QUERY):
            yield self.filters.apply(BatchTask.objects.filter(task_id__in=ids[start : start + IDS_PER_QUERY]))


class Selector(Selection):
    """A selection that may also filter by priority."""

    priority: PriorityFilter

    @property
    def priorities(self) -> Sequence[str]:
        return self.priority
