"""add_batch: many tasks in one call, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import orjson
from django.conf import settings
from pydantic import Field, WithJsonSchema, field_validator, model_validator

from executor.db.dialect import database_now
from executor.domain.errors import BadRequest
from executor.domain.json_text import BadLine, read_lines, to_json_text
from executor.domain.parameter_types import BatchName, Concurrency, Key, Line
from executor.domain.task_item import TaskItem
from executor.models import Batch, BatchStats
from executor.queue.dispatch import open_batches

from . import task_validation
from .call import Call, Parameters, Response
from .registry import action

METADATA_BYTES = 16 * 1024


class AddBatchParameters(Parameters):
    """The tasks, and the batch that they are added to."""

    tasks: Annotated[Any, WithJsonSchema({"type": "array", "items": TaskItem.model_json_schema()})] = Field(
        description="The tasks: a list of objects with the fields of a task, or the same as JSON or JSON Lines text."
    )
    name: Line = Field("", description="A name for the new batch.")
    batch: BatchName
    defaults: dict[str, Any] = Field(default_factory=dict, description="Default fields for tasks that omit them.")
    start: bool = Field(False, description="Also start the batch.")
    max_concurrent: Concurrency | None = None
    metadata: dict[str, Any] | None = Field(None, description="Your own notes on the batch.")
    idempotency_key: Key

    @model_validator(mode="before")
    @classmethod
    def _one_list(cls, values: Any) -> Any:
        """Accept `tool_calls`, `calls` or `items` as names of the tasks, as agents use them."""
        if isinstance(values, dict):
            given = [name for name in ("tasks", "tool_calls", "calls", "items") if name in values]
            if len(given) > 1:
                raise ValueError(f"give the tasks once, not as {' and '.join(given)}")
            if given:
                return {
                    **{name: value for name, value in values.items() if name != given[0]},
                    "tasks": values[given[0]],
                }
        return values

    @field_validator("tasks", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, Iterator):
            return list(
                islice(value, settings.BATCH_MAX_TASKS + 1)
            )  # one more than permitted is enough to refuse the call
        if not isinstance(value, str):
            return value
        try:
            if value.lstrip().startswith("["):
                return orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"as text they must be a JSON list, or one JSON object a line ({error})") from None
        # At line feeds only: `splitlines` also splits at characters that a JSON string may contain.
        tasks = [task for _, task in read_lines(value.split("\n"))]
        if tasks and all(isinstance(task, BadLine) for task in tasks):
            raise ValueError(f"as text they must be a JSON list, or one JSON object a line (this {tasks[0].reason})")
        return tasks


@action(
    "submit",
    {"name": "Numbers", "tasks": [{"function": "simulate", "params": {"duration": 0.1}}], "start": True},
    audited=True,
    keyed=True,
    lines="tasks",
)
def add_batch(call: Call, parameters: AddBatchParameters) -> Response:
    """Add many tasks in one call: all of them, or none when one is wrong."""
    items = parameters.tasks
    if isinstance(items, dict | bytes) or not hasattr(items, "__iter__"):
        errors = [{"field": "tasks", "reason": "must be a list"}]
        raise BadRequest("`tasks` must be a list of tasks.", fix="Put a single task into a list too.", errors=errors)
    if parameters.batch and (ignored := [name for name in ("name", "metadata") if getattr(parameters, name)]):
        errors = [{"field": name, "reason": "is for a new batch; `batch` names an existing one"} for name in ignored]
        raise BadRequest(f"With `batch`, {' and '.join(ignored)} would be ignored.", fix="Use `update`.", errors=errors)
    named = call.batch(parameters.batch) if parameters.batch else None
    owner = named.owner if named else None
    tasks = task_validation.validate_items(items, call.caller, parameters.defaults, owner=owner)
    batch = named or new_batch(call, parameters.name, parameters.metadata, parameters.max_concurrent)
    with open_batches([batch.batch_id]) as queue:
        task_validation.reject_taken_custom_ids(batch.batch_id, tasks)
        numbers = queue.add(batch.batch_id, tasks)
        if parameters.start or parameters.max_concurrent:
            call.require_start(queue.batch(batch.batch_id))
        if parameters.start:
            queue.start(batch.batch_id, parameters.max_concurrent)
        elif parameters.max_concurrent:
            queue.set_max_concurrent(batch.batch_id, parameters.max_concurrent)
    call.audit.update(tasks=len(tasks))
    data = {
        "batch_id": str(batch.batch_id),
        "task_ids": [str(task.task_id) for task in tasks],
        "count": len(tasks),
        "first_number": numbers[0],
        "next": f'{"wait" if parameters.start else "start"} {{"batch": "{batch.batch_id}"}}',
    }
    started = " and the batch was started" if parameters.start else ""
    return Response(True, f"{len(tasks):,} task{'s were' if len(tasks) > 1 else ' was'} added{started}.", data)


def new_batch(
    call: Call,
    name: str = "",
    metadata: dict | None = None,
    max_concurrent: int | None = None,
    is_default: bool = False,
) -> Batch:
    """Create an empty batch of this caller.

    Raises BadRequest for metadata that cannot be kept.
    """
    text, problem = to_json_text(metadata or {})
    if problem or len(text) > METADATA_BYTES:
        problem = problem or f"has {len(text):,} bytes; at most {METADATA_BYTES:,} are allowed"
        errors = [{"field": "metadata", "reason": problem}]
        raise BadRequest(f"The metadata {problem}.", fix="Metadata are notes: give a small JSON object.", errors=errors)
    batch = Batch.objects.create(
        name=name,
        owner=call.caller.key,
        is_default=is_default,
        metadata=metadata or {},
        max_concurrent=max_concurrent or 5,
        created_at=database_now(),
    )
    BatchStats.objects.create(batch=batch)
    call.batch_id = batch.batch_id
    return batch
