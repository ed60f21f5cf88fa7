"""Time that the sandbox adds: the same tiny program as a plain subprocess and through a launcher, in turns."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

from .probe import containment, program_user
from .run import Program, run

NO_OP = ["/bin/sh", "-c", ":"]
WARM_UP_ROUNDS = 3


async def cost(
    rounds: int = 40,
    launcher: str | None = None,
    argv: list[str] | None = None,
    on_round: Callable[[int], None] = lambda done: None,
) -> dict:
    """Return the launcher, and the median milliseconds of `plain`, `sandboxed` and their difference `more`.

    `on_round` is called after each round with the number of rounds done.
    """
    launcher = launcher or (await asyncio.to_thread(containment)).launcher
    argv = argv or NO_OP
    plain, contained = [], []
    for number in range(-WARM_UP_ROUNDS, rounds):
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
        on_round(max(0, number + 1))
    milliseconds = [round(statistics.median(times[WARM_UP_ROUNDS:]) * 1000, 2) for times in (plain, contained)]
    return {
        "launcher": launcher,
        "plain": milliseconds[0],
        "sandboxed": milliseconds[1],
        "more": round(milliseconds[1] - milliseconds[0], 2),
    }
