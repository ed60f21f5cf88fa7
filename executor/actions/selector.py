"""Which tasks `cancel`, `retry` and `update` are about."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db.models import QuerySet
from pydantic import Field, model_validator

from executor.domain.errors import BadRequest
from executor.domain.parameter_types import BatchName, Ids, StatusFilter, Text, Words
from executor.models import BatchTask
from executor.reads.task_filter import TaskFilter, find_custom_ids, find_tasks

from .base import Call, Parameters


class Selector(Parameters):
    """Tasks by id, by custom id, or all of a batch that match a filter."""

    task_ids: Ids | None = Field(None, description="These tasks, of whatever batches.")
    custom_ids: Ids | None = Field(None, description="These tasks of the batch.")
    batch: BatchName
    filter_status: StatusFilter
    priority_is: Words = Field(default_factory=list, description="Only tasks of these priorities.")
    function: Text = Field("", description="Only tasks of this function.")
    q: Text = Field("", description="Only tasks with this text in name, custom id, function or error.")

    @model_validator(mode="before")
    @classmethod
    def _one_id(cls, values):
        if isinstance(values, dict) and "task_id" in values and "task_ids" not in values:
            values = {**values, "task_ids": values["task_id"]}
            del values["task_id"]
        return values

    @property
    def filters(self) -> TaskFilter:
        return TaskFilter(self.filter_status, self.priority_is, self.function, self.q)

    def selected(self, call: Call) -> list[tuple[UUID, QuerySet]]:
        """Batch → its selected tasks.

        Raises NotFound for ids that do not exist, BadRequest when nothing was selected.
        """
        if self.task_ids is not None:
            found = find_tasks(self.task_ids)
            return [(batch_id, part) for batch_id, ids in found.items() for part in self._parts(ids)]
        if self.custom_ids is not None:
            batch = call.batch(self.batch)
            ids = find_custom_ids(batch, self.custom_ids)
            return [(batch.batch_id, part) for part in self._parts(ids)]
        if not self.batch and not self.filters:
            raise BadRequest("You selected no tasks.", fix="Give `task_ids`, `custom_ids` or `batch`.")
        batch = call.batch(self.batch)
        return [(batch.batch_id, self.filters.apply(BatchTask.objects.filter(batch_id=batch.batch_id)))]

    def _parts(self, ids: list[UUID]) -> Iterator[QuerySet]:
        for start in range(0, len(ids), 1000):
            yield self.filters.apply(BatchTask.objects.filter(task_id__in=ids[start : start + 1000]))
