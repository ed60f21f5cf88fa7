"""start: run the tasks of a batch."""

from pydantic import Field

from executor.domain.parameter_types import BatchName, Concurrency, Key
from executor.domain.states import BatchState, TaskStatus
from executor.domain.wording import counted
from executor.queue.dispatch import open_batches

from .call import Call, Parameters, Response
from .registry import Button, action

STARTABLE = (BatchState.OPEN.value, BatchState.STOPPED.value, BatchState.STOPPING.value)


class StartParameters(Parameters):
    """The batch, and its limit."""

    batch: BatchName
    max_concurrent: Concurrency | None = Field(None, description="How many of its tasks may run at once (default 5).")
    idempotency_key: Key


@action(
    "control",
    {"max_concurrent": 10},
    audited=True,
    keyed=True,
    buttons=(Button("Start", place="head", states=STARTABLE, is_primary=True),),
)
def start(call: Call, parameters: StartParameters) -> Response:
    """Start a batch, or resume a stopped one."""
    batch = call.batch(parameters.batch)
    with open_batches([batch.batch_id]) as queue:
        book = queue.start(batch.batch_id, parameters.max_concurrent)
    waiting, limit = int(book.counters[TaskStatus.QUEUED]), book.max_concurrent
    wait = "waits" if waiting == 1 else "wait"
    message = f"The batch runs: {counted(waiting, 'task')} {wait}, up to {limit:,} run at once."
    if book.state != BatchState.RUNNING:
        message = "Nothing is left to run: every task of the batch is final."
    call.audit.update(max_concurrent=limit)
    data = {
        "batch_id": str(batch.batch_id),
        "state": str(book.state),
        "max_concurrent": limit,
        "next": f'wait {{"batch": "{batch.batch_id}", "timeout": 30}}',
    }
    return Response(True, message, data)
