"""add: one task."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from pydantic import Field, model_validator

from executor import intake
from executor.actions.add_batch import new_batch
from executor.dispatch import open_batches
from executor.models import Batch
from executor.parameters import BatchName, Concurrency, Key, Number, Whole
from executor.selection import default_batch

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
    [task] = intake.check([item], call.caller, owner=named and named.owner)
    batch = named or _default_batch(call)
    with open_batches([batch.batch_id]) as queue:
        intake.refuse_taken_ids(batch.batch_id, [task])
        [number] = queue.add(batch.batch_id, [task])
        if parameters.start:
            call.require_start(queue.book(batch.batch_id))
            queue.start(batch.batch_id, parameters.max_concurrent)
        state = queue.book(batch.batch_id).state
    call.audit.update(tasks=1, function=task.function)
    data = {"task_id": intake.uuid_text(task.task_id), "number": number, "batch_id": str(batch.batch_id)}
    data["next"] = (
        f'wait {{"batch": "{batch.batch_id}", "timeout": 30}}'
        if state == "running"
        else f'start {{"batch": "{batch.batch_id}"}}'
    )
    where = f"batch {batch.name}" if batch.name else "the batch"
    return Response(True, f"Task {number} ({task.function}) was added to {where}.", data)


def _default_batch(call: Call) -> Batch:
    """The caller's own batch, made when it is first needed."""
    batch = default_batch(call.caller.key)
    if batch is None:
        try:
            with transaction.atomic():
                batch = new_batch(call, name=f"{call.caller.name}'s tasks"[:200], is_default=True)
        except IntegrityError:  # another call of theirs made it at the same time
            batch = default_batch(call.caller.key)
    call.batch_id = batch.batch_id
    return batch
