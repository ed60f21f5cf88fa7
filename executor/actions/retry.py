"""retry: queue failed and cancelled tasks again."""

from typing import Any

from executor.domain.states import MOVES, BatchState, TaskStatus
from executor.domain.wording import counted
from executor.queue.dispatch import open_batches

from .call import Call, Response
from .registry import Button, action
from .selector import Selector


@action(
    "control",
    {"batch": "Numbers", "status": TaskStatus.FAILED},
    audited=True,
    buttons=(
        Button(
            "Retry",
            target="tasks",
            statuses=MOVES["retry"].sources,
            effect="Failed and cancelled tasks are queued again.",
        ),
    ),
)
def retry(call: Call, parameters: Selector) -> Response:
    """Queue failed and cancelled tasks again, with all their retries."""
    selected = parameters.selected(call)
    retried = seen = 0
    with open_batches({batch_id for batch_id, _ in selected}) as queue:
        for batch_id, tasks in selected:
            seen += tasks.count()
            retried += queue.retry(batch_id, tasks)
        waiting = [str(batch_id) for batch_id, _ in selected if queue.batch(batch_id).state != BatchState.RUNNING]
    call.audit.update(retried=retried)
    message = f"{counted(retried, 'task')} {'is' if retried == 1 else 'are'} queued again."
    if skipped := seen - retried:
        message += f" {counted(skipped, 'task')} had not failed and {'was' if skipped == 1 else 'were'} not cancelled."
    data: dict[str, Any] = {"retried": retried, "skipped": skipped}
    if retried and waiting:
        data["next"] = f'start {{"batch": "{waiting[0]}"}}'
        message += " Their batch is not running: start it."
    return Response(True, message, data)
