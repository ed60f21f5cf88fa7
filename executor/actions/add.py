"""add: one task."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db import IntegrityError, transaction
from pydantic import Field, ValidationError

from executor.domain.errors import ExecutorError
from executor.domain.parameter_types import BatchName, Concurrency, Key
from executor.domain.states import BatchState
from executor.domain.task_item import FIELD_OF, TaskItem
from executor.queue.dispatch import open_batches
from executor.reads.lookups import default_batch

from . import task_validation
from .add_batch import new_batch
from .call import Call, Parameters, Response
from .registry import action


class AddParameters(TaskItem, Parameters):
    """The fields of a task, and the batch that it is added to."""

    batch: BatchName
    start: bool = Field(False, description="Also start the batch.")
    max_concurrent: Concurrency | None = Field(None, description="With `start`: how many tasks may run at once.")
    idempotency_key: Key

    @classmethod
    def refusal(cls, action: str, error: ValidationError, arguments: dict[str, Any]) -> ExecutorError:
        """Report the mistakes in a task like those of `add_batch`, and all others as wrong arguments."""
        problems = error.errors(include_url=False)
        if any(
            problem["type"] in ("missing", "extra_forbidden") or FIELD_OF.get(str(problem["loc"][0])) is None
            for problem in problems
        ):
            return super().refusal(action, error, arguments)
        return task_validation.refused_item(arguments, error)


@action("submit", {"function": "simulate", "params": {"duration": 1}, "priority": "high"}, audited=True, keyed=True)
def add(call: Call, parameters: AddParameters) -> Response:
    """Add one task to a batch."""
    named = call.batch(parameters.batch) if parameters.batch else None
    [task] = task_validation.validate_items([parameters], call.caller, owner=named.owner if named else None)
    batch_id, name = (named.batch_id, named.name) if named else _default_batch(call)
    with open_batches([batch_id]) as queue:
        task_validation.reject_taken_custom_ids(batch_id, [task])
        [number] = queue.add(batch_id, [task])
        if parameters.start:
            call.require_start(queue.batch(batch_id))
            queue.start(batch_id, parameters.max_concurrent)
        state = queue.batch(batch_id).state
    call.audit.update(tasks=1, function=parameters.function)
    next_action = (
        f'wait {{"batch": "{batch_id}", "timeout": 30}}'
        if state == BatchState.RUNNING
        else f'start {{"batch": "{batch_id}"}}'
    )
    where = f"batch {name}" if name else "the batch"
    return Response(
        True,
        f"Task {number} ({parameters.function}) was added to {where}.",
        {"task_id": str(task.task_id), "number": number, "batch_id": str(batch_id), "next": next_action},
    )


def _default_batch(call: Call) -> tuple[UUID, str]:
    """Return id and name of the caller's default batch; create it when it is first needed."""
    found = default_batch(call.caller.key)
    if found is None:
        name = f"{call.caller.name}'s tasks"[:200]
        try:
            with transaction.atomic():
                found = new_batch(call, name=name, is_default=True).batch_id, name
        except IntegrityError:  # a concurrent call of the same caller created it
            found = cast("tuple[UUID, str]", default_batch(call.caller.key))
    call.batch_id = found[0]
    return found
