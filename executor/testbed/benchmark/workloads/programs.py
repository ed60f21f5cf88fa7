"""The sandbox's overhead for a program."""

import asyncio

from executor.testbed.benchmark.session import write_line


def sandbox(tasks: int) -> dict:
    """Compare the median duration of a program that does nothing, inside and outside the sandbox."""
    from executor.sandbox import server
    from executor.sandbox.cost import cost

    try:
        found = asyncio.run(cost(tasks, on_round=lambda done: write_line(done=done, of=tasks)))
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
