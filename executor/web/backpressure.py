"""Not making more of an answer than its reader takes.

ASGI leaves it to the server to hold an application back, and Daphne does not: whatever is sent waits in memory until
the client has read it, which for an export to a slow one is all of the export.
"""

from __future__ import annotations

import asyncio


def pace_daphne() -> None:
    """Make this process's Daphne hold back whoever sends more than a client reads. Call it before Daphne listens."""
    from daphne import http_protocol, server

    if issubclass(http_protocol.WebRequest, _Paced):
        return

    class PacedRequest(_Paced, http_protocol.WebRequest):
        pass

    at_once = server.Server.handle_reply

    async def paced(self, protocol, message):
        await at_once(self, protocol, message)
        if isinstance(protocol, _Paced):
            await protocol.room()

    http_protocol.WebRequest = PacedRequest
    server.Server.handle_reply = paced


class _Paced:
    """Beside Daphne's request: what Twisted calls a push producer, which is told when the connection has room."""

    _room: asyncio.Event | None = None

    def handle_reply(self, message):
        if message.get("more_body") and self._room is None and self.channel is not None:
            self._room = asyncio.Event()
            self._room.set()
            self.registerProducer(self, streaming=True)
        super().handle_reply(message)

    async def room(self) -> None:
        """Return when the client has read most of what was sent, or has left."""
        if self._room is not None:
            await self._room.wait()

    def pauseProducing(self):
        self._room.clear()

    def resumeProducing(self):
        self._room.set()

    stopProducing = resumeProducing  # there will be nobody to read: whoever waits goes on, and ends

    def finish(self):
        if self._room is not None:
            self._room.set()
            self.unregisterProducer()
        super().finish()
