"""The tools of the MCP servers: listed in background threads, cached, and refreshed when the cache expires.

A caller waits for a server at most its `init_timeout`, and not at all for one that has just failed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from . import configuration
from .configuration import McpServer
from .unreachable import Unreachable

logger = logging.getLogger(__name__)

CACHE_SECONDS = {"streamable-http": 60.0, "stdio": 600.0}
MIN_FAILURE_BACKOFF = 5.0  # seconds
MAX_PAGES = 50
MAX_TOOLS = 2_000


@dataclass(frozen=True, eq=False)
class Tool:
    """A tool, described by its server."""

    server: McpServer
    name: str
    title: str = ""
    description: str = ""
    schema: dict[str, Any] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.server.name}.{self.name}"


class Listing:
    """The cached tools of one server. `error` is the reason why the last refresh failed."""

    def __init__(self, server: McpServer):
        self.server = server
        self.tools: dict[str, Tool] | None = None
        self.error = ""
        self.refreshed_at = float("-inf")
        self._duration = 0.0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()

    def refresh(self, timeout: float) -> None:
        """Refresh an expired list in the background. Wait for it, at most `timeout`, only if there is no older list."""
        age = time.monotonic() - self.refreshed_at
        known = self.tools is not None and not self.error
        if age < (CACHE_SECONDS[self.server.type] if known else max(MIN_FAILURE_BACKOFF, 2 * self._duration)):
            return
        with self._lock:
            if self._done.is_set():
                self._done.clear()
                name = f"tools of {self.server.name}"
                threading.Thread(target=self._list, name=name, daemon=True).start()
        if not known:
            self._done.wait(timeout)

    def _list(self) -> None:
        started = time.monotonic()
        try:
            self.tools, self.error = asyncio.run(_tools_of(self.server)), ""
        except Exception as error:
            # The text of Unreachable is free of secrets; the text of any other error may not be.
            self.error = str(error) if isinstance(error, Unreachable) else type(error).__name__
            logger.warning("cannot list the tools of %s: %s", self.server.name, self.error)
        finally:
            self.refreshed_at = time.monotonic()
            self._duration = self.refreshed_at - started
            self._done.set()

    @property
    def reason(self) -> str:
        """Why the tools cannot be used now; an empty string if they can."""
        if self.error:
            return f"The MCP server {self.server.name!r} ({self.server.where}) cannot be used: {self.error}."
        if self.tools is None:
            return f"The MCP server {self.server.name!r} ({self.server.where}) has not listed its tools yet."
        return ""


async def _tools_of(server: McpServer) -> dict[str, Tool]:
    from .transports import reason_of, session

    found: dict[str, Tool] = {}
    cursor = None
    try:
        async with session(server) as opened:
            async with asyncio.timeout(server.init_timeout):
                for _ in range(MAX_PAGES):
                    page = await opened.client.list_tools(cursor=cursor)
                    for tool in page.tools[: MAX_TOOLS - len(found)]:
                        if tool.name not in server.disabled_tools and tool.name.isprintable():
                            title, description = tool.title or "", (tool.description or "").strip()
                            found[tool.name] = Tool(server, tool.name, title, description, tool.input_schema)
                    if not (cursor := page.next_cursor):
                        break
    except Unreachable:
        raise
    except (Exception, BaseExceptionGroup) as error:
        raise Unreachable(reason_of(server, error, [])) from None
    return found


class Catalogue:
    """The tools of all configured servers."""

    def __init__(self):
        self._listings: dict[str, Listing] = {}
        self._lock = threading.Lock()

    def listings(self) -> list[Listing]:
        """Return the listings of the configured servers, in their order."""
        servers = configuration.current().servers
        with self._lock:
            self._listings = {
                name: known if (known := self._listings.get(name)) and known.server == server else Listing(server)
                for name, server in servers.items()
            }
            return list(self._listings.values())

    def listing(self, name: str) -> Listing | None:
        """Return the listing of one server, refreshed within its `init_timeout`; None if it is not configured."""
        found = next((listing for listing in self.listings() if listing.server.name == name), None)
        if found is not None:
            found.refresh(found.server.init_timeout + 0.5)
        return found

    def refreshed(self, timeout: float) -> list[Listing]:
        """Return all listings, refreshed; wait at most `timeout` seconds for servers that were never listed."""
        found = self.listings()
        _refresh(found, timeout)
        return found

    def find_tool(self, name: str) -> tuple[list[Tool], list[Listing]]:
        """Return the tools of that name on all servers, and the listings of the unavailable servers."""
        found = self.listings()
        _refresh(found, max((listing.server.init_timeout for listing in found), default=0) + 0.5)
        tools = [listing.tools[name] for listing in found if listing.tools and name in listing.tools]
        return tools, [listing for listing in found if listing.reason]


def _refresh(listings: list[Listing], timeout: float) -> None:
    """Refresh listings concurrently: start all, then wait for all."""
    for listing in listings:
        listing.refresh(0)
    deadline = time.monotonic() + timeout
    for listing in listings:
        listing.refresh(max(0.0, deadline - time.monotonic()))


CATALOGUE = Catalogue()
