"""One MCP session with a server: over streamable HTTP, or with a child process."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TextIO, cast

import anyio
import httpx2
from django.conf import settings
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import get_default_environment, stdio_client
from mcp.client.streamable_http import streamable_http_client

from executor.processes.spawning import bare_python

from . import outgoing
from .configuration import McpServer
from .unreachable import Unreachable

# Seconds.
SEND_TIMEOUT = 60.0
CLOSE_TIMEOUT = 1.0
CANCEL_DELAY = 0.2  # between a cancel notification and the end of its session


class Session:
    """An open session. `lost` is set as soon as the other end closes."""

    def __init__(self, server: McpServer, client: Client, lost: anyio.Event, refusals: list[str]):
        self.server, self.client, self.lost = server, client, lost
        self._refusals = refusals

    def reason(self, error: BaseException) -> str:
        """Return why a call failed, without secrets."""
        return reason_of(self.server, error, self._refusals)


@asynccontextmanager
async def session(server: McpServer, http: httpx2.AsyncClient | None = None) -> AsyncIterator[Session]:
    """Open a session with the server for the block. `http` is a client of `client_for`, shared by its sessions.

    Raises Unreachable if the session does not open within the server's `init_timeout`.
    """
    refusals: list[str] = []
    lost = anyio.Event()
    opened = False
    try:
        # The timeout excludes the streams: they must be closed in order even after it.
        async with (
            _streams(server, http, refusals) as streams,
            asyncio.timeout(server.init_timeout) as opening,
            Client(_WatchedTransport(streams, lost), cache=None) as client,
        ):
            opened = True
            opening.reschedule(None)
            yield Session(server, client, lost, refusals)
    except Exception as error:
        if opened:
            raise
        raise Unreachable(reason_of(server, error, refusals)) from None


def client_for(server: McpServer) -> httpx2.AsyncClient:
    """Return the HTTP client for a server."""
    return outgoing.client(
        server.url,
        verify=server.verify,
        headers=server.headers,
        timeout=httpx2.Timeout(outgoing.CONNECT_TIMEOUT, read=None, write=SEND_TIMEOUT),
        event_hooks={"request": [_shorten_close]},
    )


async def _shorten_close(request: httpx2.Request) -> None:
    """Set a short timeout for the request that ends a session."""
    if request.method == "DELETE":
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), CLOSE_TIMEOUT)


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
        recording = _RecordingClient(http, refusals)
        yield await stack.enter_async_context(
            streamable_http_client(
                server.url, http_client=cast(httpx2.AsyncClient, recording), max_sse_event_size=outgoing.MAX_RESPONSE
            )
        )


class _RecordingClient:
    """An HTTP client that records the refusals of one session, which MCP's own errors omit.

    It also delays the end of a session after a cancel: older servers end a session before they have processed its last
    message.
    """

    def __init__(self, http: httpx2.AsyncClient, refusals: list[str]):
        self._http, self._refusals = http, refusals
        self._cancelled = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http, name)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if request.method == "POST" and b'"notifications/cancelled"' in request.content:
            self._cancelled = True
        elif request.method == "DELETE" and self._cancelled:
            await asyncio.sleep(CANCEL_DELAY)
        response = await self._http.send(request, **options)
        if response.status_code in (401, 403, 429) or response.status_code >= 500:
            self._refusals[:] = [f"it answered {response.status_code} {response.reason_phrase}".rstrip()]
        return response


def _error_log() -> TextIO:
    """Return the file for a server's stderr: our own stderr, or the null device if there is none."""
    stream = sys.__stderr__
    return open(os.dup(stream.fileno()), "w") if stream is not None else open(os.devnull, "w")


def _program(server: McpServer) -> StdioServerParameters:
    """Return the command and environment of a server: HOME, PATH and the like, and its `env`, nothing of the worker's.

    Raises FileNotFoundError.
    """
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


class _WatchedTransport:
    """A transport that reports the end of its connection at once, not with the next call."""

    def __init__(self, streams: tuple, lost: anyio.Event):
        self._streams, self._lost = streams, lost

    async def __aenter__(self) -> tuple:
        read, write = self._streams
        return _WatchedStream(read, self._lost), write

    async def __aexit__(self, *_) -> None:
        pass  # `_streams` closes them


class _WatchedStream:
    def __init__(self, inner: Any, lost: anyio.Event):
        self._inner, self._lost = inner, lost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def __aenter__(self) -> _WatchedStream:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exception: Any) -> Any:
        return await self._inner.__aexit__(*exception)

    def __aiter__(self) -> _WatchedStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._inner.__anext__()
        except BaseException:
            self._lost.set()
            raise


def reason_of(server: McpServer, error: BaseException, refusals: list[str]) -> str:
    """Return why there is no answer, in one clause without secrets."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if refusals:
        reason = refusals[-1]
    elif isinstance(error, TimeoutError | httpx2.ConnectTimeout):
        reason = f"it did not answer within {server.init_timeout:g} s"
    elif isinstance(error, MCPError) and server.type == "stdio" and str(error) == "Connection closed":
        reason = "it ended before it answered; its output is in the log"
    elif isinstance(error, httpx2.ConnectError):
        reason = "nothing answers there"
    else:
        reason = str(error) or type(error).__name__
    return server.hide(reason)[:500]
