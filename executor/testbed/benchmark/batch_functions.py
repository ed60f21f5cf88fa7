"""Task functions of the benchmark, besides `simulate`."""

import time

from executor.functions import task_function


@task_function()
def compute(seconds: float = 0.01) -> None:
    """Use a processor for this time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@task_function()
async def moment() -> float:
    """Return the time of the call, in seconds since 1970."""
    return time.time()
