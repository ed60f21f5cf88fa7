"""What the sandbox costs a program."""

import asyncio

from executor.testbed.benchmark.session import tell


def sandbox(tasks: int) -> dict:
    """Milliseconds that the walls cost a program which does nothing, by the median of each way."""
    from executor.sandbox import server
    from executor.sandbox.cost import cost

    try:
        found = asyncio.run(cost(tasks, on_round=lambda done: tell(done=done, of=tasks)))
    finally:
        server.stop()
    plain, contained = found["plain"], found["sandboxed"]
    return {
        "tasks": tasks,
        "more_ms": found["more"],
        "plain_ms": plain,
        "contained_ms": contained,
        "by": found["launcher"],
    }
