"""simulate: a task that only takes time."""

import asyncio
import random

from pydantic import BaseModel, ConfigDict, Field

from executor.domain.errors import TaskFailed

from .context import TaskContext
from .registry import task_function


class SimulateParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    duration: float = Field(1.0, ge=0, le=86_400, description="Seconds it takes.")
    jitter: float = Field(0.0, ge=0, le=86_400, description="Up to this many seconds more or less, at random.")
    failure_rate: float = Field(0.0, ge=0, le=1, description="The probability that an attempt fails.")
    fail_times: int = Field(0, ge=0, description="This many attempts fail before one succeeds.")
    output_bytes: int = Field(0, ge=0, le=10_000_000, description="The length of the text in the result.")
    seed: int | None = Field(None, description="Makes the random numbers repeatable.")


PROGRESS_INTERVAL = 1.0  # seconds; a shorter sleep reports no progress


async def _sleep(seconds: float, context: TaskContext) -> None:
    if seconds < 2 * PROGRESS_INTERVAL:
        if seconds:
            await asyncio.sleep(seconds)
        return
    step = max(PROGRESS_INTERVAL, seconds / 100)
    slept = 0.0
    while slept < seconds:
        context.progress(round(slept, 1), round(seconds, 1), "sleeping")
        await asyncio.sleep(min(step, seconds - slept))
        slept += step


@task_function("simulate", example={"duration": 0.5, "jitter": 0.2, "failure_rate": 0.1})
async def simulate(params: SimulateParameters, context: TaskContext) -> dict:
    """Sleep for a while, then succeed or fail as requested. For trials and load tests.

    The result has the seconds slept and the attempt that succeeded.
    """
    chance = random if params.seed is None else random.Random(f"{params.seed}-{context.number}-{context.attempt}")
    seconds = max(0.0, params.duration + chance.uniform(-params.jitter, params.jitter))
    await _sleep(seconds, context)
    if context.retry_count < params.fail_times:
        raise TaskFailed(f"Failure {context.retry_count + 1} of {params.fail_times}, as requested.")
    if chance.random() < params.failure_rate:
        raise TaskFailed(f"Failed by chance, as requested (failure_rate {params.failure_rate:g}).")
    result: dict[str, object] = {"slept": round(seconds, 3), "attempt": context.attempt}
    if params.output_bytes:
        result["output"] = "x" * params.output_bytes
    return result
