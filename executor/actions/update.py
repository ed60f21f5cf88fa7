"""update: change the limit or the name of a batch, or the priority of queued tasks."""

from collections.abc import Sequence

from pydantic import Field

from executor.domain.errors import BadRequest
from executor.domain.parameter_types import Concurrency, Line, PriorityName, Words
from executor.domain.states import Priority
from executor.domain.wording import counted
from executor.models import Batch
from executor.queue.dispatch import open_batches

from .call import Call, Response
from .registry import Button, action
from .selector import Selection


class UpdateParameters(Selection):
    """The changes, and the tasks whose priority changes. Here `priority` is the new one, so the filter is another."""

    priority_is: Words = Field(default_factory=list, description="Only tasks of these priorities.")
    priority: PriorityName | None = Field(None, description="The new priority of the selected queued tasks.")
    max_concurrent: Concurrency | None = Field(None, description="The batch's new limit.")
    name: Line | None = Field(None, min_length=1, description="The batch's new name.")

    @property
    def priorities(self) -> Sequence[str]:
        return self.priority_is


@action(
    "control",
    {"batch": "Numbers", "max_concurrent": 50},
    audited=True,
    buttons=(Button("Rename", fields=("name",)),),
)
def update(call: Call, parameters: UpdateParameters) -> Response:
    """Change a batch's limit or name, or the priority of queued tasks, also while it runs."""
    changes = {name: getattr(parameters, name) for name in ("priority", "max_concurrent", "name")}
    changes = {name: value for name, value in changes.items() if value is not None}
    if not changes:
        raise BadRequest("No change is given.", fix="Give `priority`, `max_concurrent` or `name`.")
    if parameters.task_ids is not None and changes.keys() - {"priority"}:
        raise BadRequest("Of single tasks only the priority can be changed.", fix="Give `batch` for the others.")
    selected = parameters.selected(call)
    changed = 0
    with open_batches({batch_id for batch_id, _ in selected}) as queue:
        for batch_id, tasks in selected:
            if parameters.priority is not None:
                changed += queue.set_priority(batch_id, tasks, parameters.priority)
            if parameters.max_concurrent is not None:
                queue.set_max_concurrent(batch_id, parameters.max_concurrent)
            if parameters.name is not None:
                Batch.objects.filter(pk=batch_id).update(name=parameters.name)
                queue.batch(batch_id).is_touched = True
    call.audit.update(changes)
    parts = []
    if parameters.priority is not None:
        parts.append(f"{counted(changed, 'queued task')} {'has' if changed == 1 else 'have'} the new priority")
    if parameters.max_concurrent is not None:
        parts.append(f"up to {parameters.max_concurrent:,} tasks run at once")
    if parameters.name is not None:
        parts.append(f"the batch is called {parameters.name}")
    if parameters.priority is not None:
        changes["priority"] = Priority(parameters.priority).label
    return Response(True, ", ".join(parts).capitalize() + ".", {"changed": changed, **changes})
