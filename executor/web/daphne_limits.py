"""Body limit and backpressure for Daphne.

Daphne stores a whole request body before the application sees it, and keeps in memory what a client has not yet read of
a response.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar, copy_context

from daphne import http_protocol
from django.conf import settings
from twisted.internet import reactor

from .body_limit import body_too_large

GRACE_PERIOD = 3.0  # seconds for a refused client to read its answer while it still sends

_current: ContextVar[LimitedRequest | None] = ContextVar("daphne_request", default=None)


def install() -> None:
    """Make Daphne use `LimitedRequest` for all connections to come."""
    # Private: Daphne has no setting for its request class; its factory reads this name for every connection.
    # tests/web/test_daphne_limits.py fails when that changes.
    http_protocol.WebRequest = LimitedRequest


class Backpressure:
    """ASGI middleware: `send` returns when the client has read most of the response so far."""

    def __init__(self, application: Callable):
        self._application = application

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        request = _current.get()
        if request is None:
            return await self._application(scope, receive, send)

        async def paced_send(message: dict) -> None:
            await send(message)
            await request.writable()

        await self._application(scope, receive, paced_send)


class LimitedRequest(http_protocol.WebRequest):
    """Request with a limit of BATCH_MAX_BODY bytes, and a Twisted push producer for its response."""

    _received = 0
    _refused = False
    _writable: asyncio.Event | None = None

    def __init__(self, channel, queued=None, parsePOSTFormSubmission=False):
        # Django parses forms; Twisted would read the whole body into memory once more.
        super().__init__(channel, parsePOSTFormSubmission=False)

    # --- the request's body ---

    def gotLength(self, length: int | None) -> None:
        refused = length is not None and length > settings.BATCH_MAX_BODY
        super().gotLength(0 if refused else length)
        if refused:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if not self._refused and self._received > settings.BATCH_MAX_BODY:
            self.content.truncate(0)
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def process(self):
        """Start the application; called with the last byte of the body."""
        if self._refused:
            return self.transport.loseConnection()
        context = copy_context()
        context.run(_current.set, self)
        return context.run(super().process)

    def _refuse(self) -> None:
        self._refused = True
        body = json.dumps(body_too_large().problem()).encode()
        self.transport.write(
            b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
        )
        # Closing while the client still sends would reset the connection, and the client would lose the answer.
        reactor.callLater(GRACE_PERIOD, self.transport.loseConnection)  # type: ignore[arg-type]

    # --- the response's backpressure ---

    def handle_reply(self, message: dict) -> None:
        if message.get("more_body") and self._writable is None and self.channel is not None:
            self._writable = asyncio.Event()
            self._writable.set()
            self.registerProducer(self, streaming=True)
        super().handle_reply(message)

    async def writable(self) -> None:
        """Wait until the client has read most of what was sent, or has disconnected."""
        if self._writable is not None:
            await self._writable.wait()

    def pauseProducing(self) -> None:
        if self._writable is not None:
            self._writable.clear()

    def resumeProducing(self) -> None:
        if self._writable is not None:
            self._writable.set()

    stopProducing = resumeProducing  # the client has disconnected: the application runs to its end

    def finish(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self.unregisterProducer()
        super().finish()
