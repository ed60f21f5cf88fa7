"""Which tools the MCP servers have: listed in threads of their own, kept for a while, and listed again.

Nobody waits longer for a server than its `init_timeout`, and for one that has just failed nobody waits at all.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import configuration
from .configuration import McpServer

logger = logging.getLogger(__name__)

FRESH = {"streamable-http": 60.0, "stdio": 600.0}  # seconds that a list is believed without looking again
AFTER_FAILURE = 5.0  # seconds before a server that failed is asked again, at least
PAGES = 50
TOOLS = 2_000


@dataclass(frozen=True, eq=False)
class Tool:
    """A tool as its server describes it."""

    server: McpServer
    name: str
    title: str = ""
    description: str = ""
    schema: dict[str, Any] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.server.name}.{self.name}"


class Listing:
    """What is known of one server's tools. `error` says why the last look failed."""

    def __init__(self, server: McpServer):
        self.server = server
        self.tools: dict[str, Tool] | None = None
        self.error = ""
        self.looked_at = float("-inf")
        self._took = 0.0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()

    def look(self, wait: float) -> None:
        """See to it that it is fresh. Waits at most so long, and not at all where an old list will do."""
        age = time.monotonic() - self.looked_at
        known = self.tools is not None and not self.error
        if age < (FRESH[self.server.type] if known else max(AFTER_FAILURE, 2 * self._took)):
            return
        with self._lock:
            if self._done.is_set():
                self._done.clear()
                name = f"tools of {self.server.name}"
                threading.Thread(target=self._list, name=name, daemon=True).start()
        if not known:
            self._done.wait(wait)

    def _list(self) -> None:
        began = time.monotonic()
        try:
            self.tools, self.error = asyncio.run(_tools_of(self.server)), ""
        except Exception as error:
            # Of the server's own errors the text is free of secrets already; of others only the kind is told.
            known = type(error).__name__ == "Unreachable"
            self.error = str(error) if known else type(error).__name__
            logger.warning("the tools of %s cannot be listed: %s", self.server.name, self.error)
        finally:
            self.looked_at = time.monotonic()
            self._took = self.looked_at - began
            self._done.set()

    @property
    def reason(self) -> str:
        """Why its tools cannot be used now; empty when they can."""
        if self.error:
            return f"The MCP server {self.server.name!r} ({self.server.where}) cannot be used: {self.error}."
        if self.tools is None:
            return f"The MCP server {self.server.name!r} ({self.server.where}) has not told its tools yet."
        return ""


async def _tools_of(server: McpServer) -> dict[str, Tool]:
    from .transports import Unreachable, reason_of, session

    found: dict[str, Tool] = {}
    cursor = None
    try:
        async with session(server) as opened:
            async with asyncio.timeout(server.init_timeout):
                for _ in range(PAGES):
                    page = await opened.client.list_tools(cursor=cursor)
                    for tool in page.tools[: TOOLS - len(found)]:
                        if tool.name not in server.disabled_tools and tool.name.isprintable():
                            title, told = tool.title or "", (tool.description or "").strip()
                            found[tool.name] = Tool(server, tool.name, title, told, tool.input_schema)
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
        """One for each configured server, in their order."""
        servers = configuration.current().servers
        with self._lock:
            self._listings = {
                name: known if (known := self._listings.get(name)) and known.server == server else Listing(server)
                for name, server in servers.items()
            }
            return list(self._listings.values())

    def listing(self, name: str) -> Listing | None:
        """That of one server, as fresh as can be had within its time."""
        found = next((listing for listing in self.listings() if listing.server.name == name), None)
        if found is not None:
            found.look(found.server.init_timeout + 0.5)
        return found

    def all(self, seconds: float) -> list[Listing]:
        """All of them, waiting so long in all for those that were never seen."""
        found = self.listings()
        _look_at(found, seconds)
        return found

    def having(self, tool: str) -> tuple[list[Tool], list[Listing]]:
        """The tools of that name on all servers, and the servers that cannot be asked."""
        found = self.listings()
        _look_at(found, max((listing.server.init_timeout for listing in found), default=0) + 0.5)
        have = [listing.tools[tool] for listing in found if listing.tools and tool in listing.tools]
        return have, [listing for listing in found if listing.reason]


def _look_at(listings: Iterable[Listing], seconds: float) -> None:
    """All at the same time: first each is asked, then each is waited for."""
    listings = list(listings)
    for listing in listings:
        listing.look(0)
    deadline = time.monotonic() + seconds
    for listing in listings:
        listing.look(max(0.0, deadline - time.monotonic()))


CATALOGUE = Catalogue()
