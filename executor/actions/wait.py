"""wait: answer when a batch has finished, stopped or changed."""

import asyncio
from typing import Literal, cast

from asgiref.sync import sync_to_async
from pydantic import Field

from executor.db.dialect import close_idle_connection
from executor.domain.parameter_types import BatchName, Number, Whole
from executor.domain.states import BatchState
from executor.reads.feed import Update, feed

from .call import Call, Parameters, Response
from .registry import action
from .status import sentence

# The states of a batch in which nothing changes without an action.
IDLE = (BatchState.OPEN, BatchState.STOPPED, BatchState.FINISHED)


class WaitParameters(Parameters):
    """The batch, and the event to wait for."""

    batch: BatchName
    timeout: Number = Field(30, ge=0, le=60, description="Timeout in seconds.")
    until: Literal["finished", "change"] = Field("finished", description="What to wait for.")
    after: Whole | None = Field(None, ge=0, description="With `change`: the last `seq` that you have.")


@action("read", {"timeout": 30, "until": "finished"}, atomic=False)
async def wait(call: Call, parameters: WaitParameters) -> Response:
    """Wait until a batch is finished or stopped, or until it changes, and return its status."""
    row = await sync_to_async(call.batch)(parameters.batch)
    await sync_to_async(close_idle_connection)()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + parameters.timeout
    async with feed().watch(row.batch_id) as watcher:
        batch = cast(Update, await watcher.next(0.001)).batch  # the snapshot is available at once
        seen = batch["seq"] if parameters.after is None else parameters.after
        while not _over(batch, parameters.until, seen) and (left := deadline - loop.time()) > 0:
            update = await watcher.next(left)
            if update is not None:
                batch = update.batch
    is_over = _over(batch, parameters.until, seen)
    data = {**batch, "timed_out": not is_over}  # a copy: the batch is shared with other watchers
    return Response(True, sentence(batch) + ("" if is_over else " Call wait again."), data)


def _over(batch: dict, until: str, seen: int) -> bool:
    if until == "change":
        return batch["seq"] > seen
    return batch["state"] in IDLE
