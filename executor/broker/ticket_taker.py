"""Blocking waits of an idle worker for tickets, on its event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from executor.domain.messages import Ticket

from .connection import new_async_client
from .tickets import TAKE_SCRIPT, queue_keys, tickets_of

ANSWER_TIMEOUT = 10.0  # seconds beyond the requested wait


class TicketTaker:
    """Takes tickets, best queue first, many at once. Belongs to one event loop, which closes it."""

    def __init__(self, queues: Sequence[str], longest_wait: float):
        self._keys = queue_keys(queues)
        self._client = new_async_client(timeout=longest_wait + ANSWER_TIMEOUT)
        self._script = self._client.register_script(TAKE_SCRIPT)
        self._records: list[bytes] = []  # of tickets from a blocking pop; deleted by the next command
        self.is_waiting = False  # blocked in Redis: the next issued ticket arrives without another request

    async def take(self, room: int, wait: float) -> list[Ticket]:
        """Return up to `room` tickets; wait up to `wait` seconds for the first.

        Raises RedisError.
        """
        names = await self._script(self._keys, [room, *self._records])
        self._records = []
        if not names and wait > 0:
            names = self._records = await self._wait(room, wait)
        return tickets_of(names)

    async def _wait(self, room: int, wait: float) -> list[bytes]:
        self.is_waiting = True
        try:
            answer = await self._client.blmpop(wait, len(self._keys), *self._keys, direction="LEFT", count=room)
        finally:
            self.is_waiting = False
        return list(cast(list[bytes], answer[1])) if answer else []

    async def close(self) -> None:
        """Close the connections. A ticket lost on the way is issued again."""
        await self._client.aclose()
