"""stop: start no more tasks of a batch."""

from pydantic import Field

from executor.domain.parameter_types import BatchName
from executor.domain.states import BatchState, TaskStatus
from executor.queue.dispatch import open_batches
from executor.reads.presenters import next_call

from .call import Call, Parameters, Response
from .registry import Button, action


class StopParameters(Parameters):
    """The batch, and what happens to its running tasks."""

    batch: BatchName
    force: bool = Field(False, description="Kill running tasks and queue them again; otherwise they run to their end.")


@action(
    "control",
    {"force": False},
    audited=True,
    buttons=(
        Button(
            "Stop",
            place="head",
            states=(BatchState.RUNNING.value,),
            hint="Running tasks run to their end; no further task starts.",
        ),
        Button(
            "Stop now",
            arguments={"force": True},
            states=(BatchState.RUNNING.value, BatchState.STOPPING.value),
            hint="Ends running tasks and queues them again.",
            is_destructive=True,
        ),
    ),
)
def stop(call: Call, parameters: StopParameters) -> Response:
    """Stop a batch at once: none of its tasks starts until the batch is started again."""
    batch = call.batch(parameters.batch)
    with open_batches([batch.batch_id]) as queue:
        book = queue.stop(batch.batch_id, parameters.force)
        running = int(book.counters[TaskStatus.RUNNING])
    call.audit.update(force=parameters.force)
    data = {
        "batch_id": str(batch.batch_id),
        "state": str(book.state),
        "running": running,
        "next": next_call(batch.batch_id, book.state, int(book.counters["total_tasks"])),
    }
    if not running:
        message = f"The batch is {book.state}."
    else:
        what = "killed and queued again" if parameters.force else "left to finish"
        message = f"Nothing more starts; {running} running task{'s are' if running > 1 else ' is'} {what}."
    return Response(True, message, data)
