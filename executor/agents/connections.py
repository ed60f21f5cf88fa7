"""Connections that a worker keeps open between calls, for each server. They end with the event loop.

A program is started by the first call, shared by all, and restarted after it was lost. Its session lives in a separate
task, because a session must be closed by the task that opened it. Over HTTP each call has its own session, so that
sessions fail independently; they share the HTTP client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from .configuration import McpServer
from .transports import Session, client_for, session
from .unreachable import Unreachable


class Connection:
    """A session and the task that keeps it open."""

    def __init__(self, server: McpServer):
        self.server = server
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[Session] = loop.create_future()
        self._ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._closing = asyncio.Event()
        self.task = loop.create_task(self._keep())

    @property
    def usable(self) -> bool:
        """Whether the session is opening or open."""
        lost = self._ready.done() and not self._ready.exception() and self._ready.result().lost.is_set()
        return not self.task.done() and not self._closing.is_set() and not lost

    async def opened(self) -> Session:
        """Wait for the session to open and return it. Raises Unreachable."""
        return await asyncio.shield(self._ready)

    def close(self) -> None:
        """Have the task close the session."""
        self._closing.set()

    async def _keep(self) -> None:
        try:
            async with session(self.server) as opened:
                self._ready.set_result(opened)
                closing = asyncio.create_task(self._closing.wait())
                lost = asyncio.create_task(opened.lost.wait())
                try:
                    await asyncio.wait({closing, lost}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._closing.set()
                    closing.cancel()
                    lost.cancel()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(_reason(self.server, error))
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._closing.set()


def _reason(server: McpServer, error: BaseException) -> Unreachable:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, Unreachable):
        return error
    return Unreachable(server.hide(str(error)) or type(error).__name__)


class Connections:
    """All connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.loop = loop
        self._programs: dict[str, Connection] = {}
        self._http: dict[str, tuple[McpServer, httpx2.AsyncClient]] = {}

    @asynccontextmanager
    async def session(self, server: McpServer) -> AsyncIterator[Session]:
        """Provide a session for one call. Raises Unreachable."""
        if server.type == "stdio":
            yield await self._program(server).opened()
        else:
            async with session(server, self._client(server)) as opened:
                yield opened

    def _program(self, server: McpServer) -> Connection:
        known = self._programs.get(server.name)
        if known is not None and known.usable and known.server == server:
            return known
        if known is not None:
            known.close()
        started = self._programs[server.name] = Connection(server)
        return started

    def _client(self, server: McpServer) -> httpx2.AsyncClient:
        known = self._http.get(server.name)
        if known is None or known[0] != server:
            # The older client is not closed: calls in progress may still use it.
            known = self._http[server.name] = server, client_for(server)
        return known[1]


_of_loop: Connections | None = None


def connections() -> Connections:
    """Return the connections of the running event loop."""
    global _of_loop
    loop = asyncio.get_running_loop()
    if _of_loop is None or _of_loop.loop is not loop:
        _of_loop = Connections(loop)
    return _of_loop
