"""status: how a batch stands."""

from pydantic import Field

from executor.domain.parameter_types import BatchName
from executor.domain.wording import counted
from executor.reads import lists

from .base import Call, Parameters, Response, action


class StatusParameters(Parameters):
    batch: BatchName
    detailed: bool = Field(False, description="Also every metric: rates, times, queue depth, workers, throughput.")


@action("read", {"detailed": True}, atomic=False)
def status(call: Call, parameters: StatusParameters) -> Response:
    """Say how a batch stands: its state, its counts, how far it is, and the call that comes next."""
    row = call.batch(parameters.batch)
    data = lists.told(row)
    if parameters.detailed:
        data["metrics"] = lists.metrics(row)
    return Response(True, sentence(data), data)


def sentence(batch: dict) -> str:
    """The state of a batch in one sentence."""
    stats = batch["stats"]
    done = stats["completed"] + stats["failed"] + stats["cancelled"]
    parts = [f"{counted(stats['total_tasks'], 'task')}, {done:,} done ({stats['progress_percentage']:g} %)"]
    parts += [f"{stats[name]:,} {name}" for name in ("failed", "cancelled", "running", "queued") if stats[name]]
    left = stats["estimated_time_remaining"]
    if left:
        parts.append(f"about {left:.0f} s left")
    return f"The batch is {batch['state']}: {', '.join(parts)}."
