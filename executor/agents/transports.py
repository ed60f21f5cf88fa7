"""One MCP session with a server: over streamable HTTP, or with a process that is started for it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import httpx2
from django.conf import settings
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import get_default_environment, stdio_client
from mcp.client.streamable_http import streamable_http_client

from executor.processes.spawning import bare_python

from . import outgoing
from .configuration import McpServer

SEND = 60.0  # seconds
FAREWELL = 1.0
HEARD = 0.2


class Unreachable(Exception):
    """There is no session with the server; the text says why."""


class Session:
    """An open session. `lost` is set as soon as the other end has gone."""

    def __init__(self, server: McpServer, client: Client, lost: anyio.Event, refusals: list[str]):
        self.server, self.client, self.lost = server, client, lost
        self._refusals = refusals

    def reason(self, error: BaseException) -> str:
        """Why something failed, for people and without secrets."""
        return reason_of(self.server, error, self._refusals)


@asynccontextmanager
async def session(server: McpServer, http: httpx2.AsyncClient | None = None) -> AsyncIterator[Session]:
    """A session with the server, as long as the block lasts. `http` is a client of `client_for`, for all its sessions.

    Raises Unreachable when there is none within the server's `init_timeout`.
    """
    refusals: list[str] = []
    lost = anyio.Event()
    opened = False
    try:
        # Not around the streams: whoever is late must still close them in peace.
        async with (
            _streams(server, http, refusals) as streams,
            asyncio.timeout(server.init_timeout) as opening,
            Client(_Watched(streams, lost), cache=None) as client,
        ):
            opened = True
            opening.reschedule(None)
            yield Session(server, client, lost, refusals)
    except Exception as error:
        if opened:
            raise
        raise Unreachable(reason_of(server, error, refusals)) from None


def client_for(server: McpServer) -> httpx2.AsyncClient:
    """The HTTP client of a server."""
    return outgoing.client(
        server.url,
        verify=server.verify,
        headers=server.headers,
        timeout=httpx2.Timeout(outgoing.CONNECT, read=None, write=SEND),
        event_hooks={"request": [_hasten]},
    )


async def _hasten(request: httpx2.Request) -> None:
    """A farewell is not waited for as long as an answer."""
    if request.method == "DELETE":
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), FAREWELL)


@asynccontextmanager
async def _streams(server: McpServer, http: httpx2.AsyncClient | None, refusals: list[str]) -> AsyncIterator[tuple]:
    if server.type == "stdio":
        with _error_log() as log:
            async with stdio_client(_program(server), errlog=log) as streams:
                yield streams
        return
    async with AsyncExitStack() as stack:
        if http is None:
            http = await stack.enter_async_context(client_for(server))
        noting = _Noting(http, refusals)
        yield await stack.enter_async_context(
            streamable_http_client(server.url, http_client=noting, max_sse_event_size=outgoing.MOST)
        )


class _Noting:
    """An HTTP client that notes down what one session was refused with, which MCP's own errors do not tell, and that
    gives a cancel the time to be heard: older servers end a session before they have passed on what came last."""

    def __init__(self, http: httpx2.AsyncClient, refusals: list[str]):
        self._http, self._refusals = http, refusals
        self._cancelled = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http, name)

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        if request.method == "POST" and b'"notifications/cancelled"' in request.content:
            self._cancelled = True
        elif request.method == "DELETE" and self._cancelled:
            await asyncio.sleep(HEARD)
        response = await self._http.send(request, **how)
        if response.status_code in (401, 403, 429) or response.status_code >= 500:
            self._refusals[:] = [f"it answered {response.status_code} {response.reason_phrase}".rstrip()]
        return response


def _error_log():
    """Where a server's stderr goes: into our own log, or nowhere where that is no file."""
    stream = sys.__stderr__
    return open(os.dup(stream.fileno()), "w") if stream is not None else open(os.devnull, "w")


def _program(server: McpServer) -> StdioServerParameters:
    """How it is started. It gets HOME, PATH and the like, and what its `env` says, and nothing of ours."""
    path = (get_default_environment() | server.env).get("PATH")
    if shutil.which(server.command, path=path) is None:
        raise FileNotFoundError(f"there is no program {server.command!r}")
    interpreter, *arguments = bare_python("executor.processes.die_with_parent", server.command, *server.args)
    return StdioServerParameters(
        command=interpreter,
        args=arguments,
        env=server.env,
        cwd=server.cwd or str(settings.BASE_DIR),
    )


class _Watched:
    """A transport whose end is noticed when it comes, and not by the next call."""

    def __init__(self, streams: tuple, lost: anyio.Event):
        self._streams, self._lost = streams, lost

    async def __aenter__(self) -> tuple:
        read, write = self._streams
        return _WatchedStream(read, self._lost), write

    async def __aexit__(self, *_) -> None:
        pass  # whoever made the streams closes them


class _WatchedStream:
    def __init__(self, inner: Any, lost: anyio.Event):
        self._inner, self._lost = inner, lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __aenter__(self) -> _WatchedStream:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *how) -> Any:
        return await self._inner.__aexit__(*how)

    def __aiter__(self) -> _WatchedStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._inner.__anext__()
        except BaseException:
            self._lost.set()
            raise


def reason_of(server: McpServer, error: BaseException, refusals: list[str]) -> str:
    """Why there is no answer, in one clause."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if refusals:
        said = refusals[-1]
    elif isinstance(error, TimeoutError | httpx2.ConnectTimeout):
        said = f"it did not answer within {server.init_timeout:g} s"
    elif isinstance(error, MCPError) and server.type == "stdio" and str(error) == "Connection closed":
        said = "it ended before it answered; what it said is in the log"
    elif isinstance(error, httpx2.ConnectError):
        said = "nothing answers there"
    else:
        said = str(error) or type(error).__name__
    return server.hide(said)[:500]
