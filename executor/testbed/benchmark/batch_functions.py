"""What the benchmark runs besides `simulate`."""

import time

from executor.functions import task_function


@task_function()
def compute(seconds: float = 0.01) -> None:
    """Keep a processor busy for so long."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@task_function()
async def moment() -> float:
    """The time at which this is called, in seconds since 1970."""
    return time.time()
