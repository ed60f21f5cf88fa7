"""add: one task."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from pydantic import Field, model_validator

from executor.actions.add_batch import new_batch
from executor.domain.parameter_types import BatchName, Concurrency, Key, Number, Whole
from executor.queue.dispatch import open_batches
from executor.reads.task_filter import default_batch

from . import task_checks
from .base import Call, Parameters, Response, action


class AddParameters(Parameters):
    """A task's own fields, and where it goes."""

    function: str = Field(description="What to run; `GET /api/functions` lists what exists.")
    params: dict[str, Any] | str = Field(default_factory=dict, description="Its parameters.")
    name: str = Field("", description="A name for people.")
    priority: str | int = Field("medium", description="critical, high, medium or low.")
    max_retries: Whole = Field(3, description="Attempts after the first one that fails.")
    retry_delay: Number = Field(1.0, description="Seconds before the first retry, doubled each time.")
    timeout: Number | None = Field(None, description="Seconds after which an attempt is killed.")
    run_at: str | None = Field(None, description="Not before this time (ISO 8601).")
    custom_id: str | int | None = Field(None, description="Your own id, unique within the batch.")
    batch: BatchName
    start: bool = Field(False, description="Also start the batch.")
    max_concurrent: Concurrency | None = Field(None, description="With `start`: how many tasks may run at once.")
    idempotency_key: Key

    @model_validator(mode="before")
    @classmethod
    def _tool_names(cls, values: Any) -> Any:
        """Agents know a call as tool_name and tool_args."""
        if not isinstance(values, dict):
            return values
        aliases = {"tool_name": "function", "tool_args": "params", "run_after": "run_at"}
        return {aliases.get(name, name): value for name, value in values.items()}


_ITEM = ("function", "params", "name", "priority", "max_retries", "retry_delay", "timeout", "run_at", "custom_id")


@action("submit", {"function": "simulate", "params": {"duration": 1}, "priority": "high"}, audited=True, keyed=True)
def add(call: Call, parameters: AddParameters) -> Response:
    """Add one task to a batch."""
    named = call.batch(parameters.batch) if parameters.batch else None
    item = {name: getattr(parameters, name) for name in _ITEM}
    [task] = task_checks.check([item], call.caller, owner=named and named.owner)
    batch_id, name = (named.batch_id, named.name) if named else _default_batch(call)
    with open_batches([batch_id]) as queue:
        task_checks.refuse_taken_ids(batch_id, [task])
        [number] = queue.add(batch_id, [task])
        if parameters.start:
            call.require_start(queue.book(batch_id))
            queue.start(batch_id, parameters.max_concurrent)
        state = queue.book(batch_id).state
    call.audit.update(tasks=1, function=task.function)
    data = {"task_id": task_checks.uuid_text(task.task_id), "number": number, "batch_id": str(batch_id)}
    data["next"] = (
        f'wait {{"batch": "{batch_id}", "timeout": 30}}' if state == "running" else f'start {{"batch": "{batch_id}"}}'
    )
    where = f"batch {name}" if name else "the batch"
    return Response(True, f"Task {number} ({task.function}) was added to {where}.", data)


def _default_batch(call: Call) -> tuple[UUID, str]:
    """Id and name of the caller's own batch, made when it is first needed."""
    found = default_batch(call.caller.key)
    if found is None:
        name = f"{call.caller.name}'s tasks"[:200]
        try:
            with transaction.atomic():
                found = new_batch(call, name=name, is_default=True).batch_id, name
        except IntegrityError:  # another call of theirs made it at the same time
            found = default_batch(call.caller.key)
    call.batch_id = found[0]
    return found
