"""What a worker keeps open between calls, for each server. It ends with the event loop.

A program is started by the first call, shared by all, and started again after it was lost. Its session lives in a task
of its own, because whoever opens one has to be the one who closes it. Over HTTP each call has a session of its own,
so that none goes down with another's; what they share are the connections below.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from .configuration import McpServer
from .transports import Session, Unreachable, client_for, session


class Connection:
    """A session and the task that keeps it."""

    def __init__(self, server: McpServer):
        self.server = server
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[Session] = loop.create_future()
        self._ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._over = asyncio.Event()
        self.task = loop.create_task(self._keep())

    @property
    def usable(self) -> bool:
        lost = self._ready.done() and not self._ready.exception() and self._ready.result().lost.is_set()
        return not self.task.done() and not self._over.is_set() and not lost

    async def opened(self) -> Session:
        """Raises Unreachable."""
        return await asyncio.shield(self._ready)

    def close(self) -> None:
        self._over.set()

    async def _keep(self) -> None:
        try:
            async with session(self.server) as opened:
                self._ready.set_result(opened)
                over = asyncio.create_task(self._over.wait())
                lost = asyncio.create_task(opened.lost.wait())
                try:
                    await asyncio.wait({over, lost}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    self._over.set()
                    over.cancel()
                    lost.cancel()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(_reason(self.server, error))
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._over.set()


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
        """A session for one call.

        Raises Unreachable.
        """
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
            # An older client is let go: calls that are under way may still use it.
            known = self._http[server.name] = server, client_for(server)
        return known[1]


_of_loop: Connections | None = None


def connections() -> Connections:
    """Those of the running event loop."""
    global _of_loop
    loop = asyncio.get_running_loop()
    if _of_loop is None or _of_loop.loop is not loop:
        _of_loop = Connections(loop)
    return _of_loop
