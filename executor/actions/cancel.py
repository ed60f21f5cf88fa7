"""cancel: end queued and running tasks."""

from executor.domain.states import MOVES
from executor.queue.dispatch import open_batches

from .call import Call, Response
from .registry import Button, action
from .selector import Selector


@action(
    "control",
    {"custom_ids": ["row-17"]},
    audited=True,
    buttons=(
        Button(
            "Cancel",
            target="tasks",
            statuses=MOVES["cancel"].sources,
            effect="Queued and running tasks are cancelled.",
            is_destructive=True,
        ),
    ),
)
def cancel(call: Call, parameters: Selector) -> Response:
    """Cancel queued tasks at once, and kill running ones; final tasks stay unchanged."""
    selected = parameters.selected(call)
    cancelled = cancelling = seen = 0
    with open_batches({batch_id for batch_id, _ in selected}) as queue:
        for batch_id, tasks in selected:
            seen += tasks.count()
            queued, running = queue.cancel(batch_id, tasks)
            cancelled, cancelling = cancelled + queued, cancelling + running
    call.audit.update(cancelled=cancelled, cancelling=cancelling)
    skipped = seen - cancelled - cancelling
    parts = [("Cancelled", cancelled), ("Running, being killed", cancelling), ("Over already", skipped)]
    message = ". ".join(f"{what}: {count:,}" for what, count in parts if count) or "No task matched"
    data = {"cancelled": cancelled, "cancelling": cancelling, "skipped": skipped}
    return Response(True, f"{message}.", data)
