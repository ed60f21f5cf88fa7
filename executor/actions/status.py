"""status: the state and the counters of a batch."""

from pydantic import Field

from executor.domain.parameter_types import BatchName
from executor.domain.states import FINAL, STATUS_SPECS, TaskStatus
from executor.domain.wording import counted
from executor.reads.batches import batch_metrics, batch_of

from .call import Call, Parameters, Response
from .registry import action

# The most advanced first.
LIVE = tuple(status for status, spec in reversed(STATUS_SPECS.items()) if not spec.is_final)


class StatusParameters(Parameters):
    """The batch, and the level of detail."""

    batch: BatchName
    detailed: bool = Field(False, description="Also every metric: rates, times, queue depth, workers, throughput.")


@action("read", {"detailed": True}, atomic=False)
def status(call: Call, parameters: StatusParameters) -> Response:
    """Return the status of a batch: its state, its counts, its progress, and the call that comes next."""
    row = call.batch(parameters.batch)
    data = batch_of(row)
    if parameters.detailed:
        data["metrics"] = batch_metrics(row)
    return Response(True, sentence(data), data)


def sentence(batch: dict) -> str:
    """Return the state of a batch in one sentence."""
    stats = batch["stats"]
    counts = batch["request_counts"]
    done = sum(counts[status] for status in FINAL)
    parts = [f"{counted(stats['total_tasks'], 'task')}, {done:,} done ({stats['progress_percentage']:g} %)"]
    # Final statuses first; `completed` is clear from the others.
    named = [status for status in (*FINAL, *LIVE) if status != TaskStatus.COMPLETED]
    parts += [f"{counts[status]:,} {status.value}" for status in named if counts[status]]
    left = stats["estimated_time_remaining"]
    if left:
        parts.append(f"about {left:.0f} s left")
    return f"The batch is {batch['state']}: {', '.join(parts)}."
