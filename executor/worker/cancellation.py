"""Reliable cancellation of a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

CANCEL_INTERVAL = 0.1  # seconds between two cancellations


async def run_until(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, or until the event is set; then cancel it.

    It is cancelled again and again: before Python 3.12 `asyncio.wait_for`, by which redis-py sends its commands, may
    swallow a cancellation.
    """
    working, waiting = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    while not working.done():
        working.cancel()
        await asyncio.wait({working}, timeout=CANCEL_INTERVAL)
    if not working.cancelled():
        working.result()
