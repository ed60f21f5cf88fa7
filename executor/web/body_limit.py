"""Refusing a request body that is larger than BATCH_MAX_BODY before anything of it is kept.

Django spools a whole body to disk before it looks at its size, and Daphne does the same before Django sees the
request. So the limit is drawn twice: around the application, for every server, and within Daphne's own request.
"""

from __future__ import annotations

import json

from executor.domain.errors import TooLarge

PATIENCE = 3  # seconds for which a client that was refused may go on sending before it is cut off


def too_large(limit: int) -> bytes:
    """The problem document."""
    error = TooLarge(
        f"The request body is larger than {limit} bytes.", fix="Send the tasks in several calls to the same batch."
    )
    return json.dumps(error.problem()).encode()


class BodyLimit:
    """An ASGI application that lets no body over `limit` bytes through to the one it wraps."""

    def __init__(self, application, limit: int):
        self.application = application
        self.limit = limit

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.application(scope, receive, send)
        if _announced(scope) > self.limit:
            return await self._refuse(send)

        taken, refused, answered = 0, False, False

        async def counted():
            nonlocal taken, refused
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self.limit:
                    refused = True
                    return {"type": "http.disconnect"}  # to the application the client is gone
            return message

        async def muted(message):
            nonlocal answered
            if not refused:
                answered = True
                await send(message)

        await self.application(scope, counted, muted)
        if refused and not answered:
            await self._refuse(send)

    async def _refuse(self, send):
        body = too_large(self.limit)
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": TooLarge.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _announced(scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def limit_daphne(limit: int) -> None:
    """Make this process's Daphne refuse larger bodies while they arrive. Call it before Daphne listens."""
    from daphne import http_protocol

    if issubclass(http_protocol.WebRequest, _Limit):
        return

    class LimitedRequest(_Limit, http_protocol.WebRequest):
        body_limit = limit

    http_protocol.WebRequest = LimitedRequest


class _Limit:
    """Beside Daphne's request: counts the body that Twisted hands over piece by piece."""

    body_limit: int
    _arrived = 0
    _refused = False

    def __init__(self, channel, queued=None, parsePOSTFormSubmission=False):
        # Django reads forms itself; Twisted would read the whole body into memory once more.
        super().__init__(channel, parsePOSTFormSubmission=False)

    def gotLength(self, length):
        refused = length is not None and length > self.body_limit
        super().gotLength(0 if refused else length)
        if refused:
            self._refuse()

    def handleContentChunk(self, data):
        self._arrived += len(data)
        if not self._refused and self._arrived > self.body_limit:
            self.content.truncate(0)
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def process(self):
        """The body is complete."""
        if self._refused:
            self.transport.loseConnection()
        else:
            return super().process()

    def _refuse(self):
        from twisted.internet import reactor

        self._refused = True
        body = too_large(self.body_limit)
        self.transport.write(
            b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/problem+json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
        )
        # Closing while the client still sends would reset the connection, and with it the answer.
        reactor.callLater(PATIENCE, self.transport.loseConnection)
