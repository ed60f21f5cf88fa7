"""What the walls cost: the same tiny program as an ordinary subprocess and through a launcher, in turns."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

from .probe import program_user, standing
from .run import Program, run

NOTHING = ["/bin/sh", "-c", ":"]


async def cost(
    rounds: int = 40,
    launcher: str | None = None,
    argv: list[str] | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> dict:
    """Median milliseconds of `plain` and `sandboxed`, and what is between them as `more`; with the launcher's name.
    `tell` hears after each round how many are done."""
    launcher = launcher or (await asyncio.to_thread(standing)).launcher
    argv = argv or NOTHING
    plain, contained = [], []
    for number in range(-3, rounds):  # the first warm up
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await process.communicate()
        plain.append(time.perf_counter() - started)
        started = time.perf_counter()
        await run(Program(argv=argv, timeout=10), launcher, program_user())
        contained.append(time.perf_counter() - started)
        tell(max(0, number + 1))
    milliseconds = [round(statistics.median(times[3:]) * 1000, 2) for times in (plain, contained)]
    return {
        "launcher": launcher,
        "plain": milliseconds[0],
        "sandboxed": milliseconds[1],
        "more": round(milliseconds[1] - milliseconds[0], 2),
    }
