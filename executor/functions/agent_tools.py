"""Tools of MCP servers as task functions: `server.tool`, or `tool` if only one server has it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from executor.agents import configuration
from executor.agents.catalogue import CATALOGUE, Listing, Tool
from executor.domain.errors import AgentUnavailable, UnknownFunction

from .context import TaskContext
from .registry import TaskFunction, add_source

if TYPE_CHECKING:  # jsonschema is loaded only when a server is configured
    from executor.agents.configuration import McpServer
    from executor.agents.schemas import ToolParameters

# Seconds to wait for servers that were never listed: for a complete list of functions, and for a hint.
LIST_TIMEOUT = 6.0
HINT_TIMEOUT = 0.5


class AgentTools:
    """The tools of all configured MCP servers."""

    def names(self, wait: bool) -> Iterable[str]:
        if not configuration.current().servers:
            return
        for listing in [] if _on_event_loop() else CATALOGUE.refreshed(LIST_TIMEOUT if wait else HINT_TIMEOUT):
            for tool in (listing.tools or {}).values():
                yield tool.full_name

    def find(self, name: str) -> TaskFunction | None:
        known = configuration.current()
        server, _, tool = name.partition(".")
        if tool and server in known.problems:
            raise UnknownFunction(
                f"{name!r}: {server!r} is configured wrongly: {known.problems[server]}", retryable=False
            )
        if server in known.instances:
            message = (
                f"{server!r} is an Agent Zero instance: call agent_zero with {{'agent': {server!r}, 'message': …}}."
            )
            raise UnknownFunction(message, retryable=False)
        if not known.servers:
            return None
        if _on_event_loop():
            # Nothing may block here. That the tool exists was checked when the task was added.
            return _function(name, None)
        if tool and (listing := CATALOGUE.listing(server)):
            return _tool_of_server(listing, tool)
        return _tool_of_any_server(name)

    def gaps(self) -> str:
        known = configuration.current()
        listings = [] if _on_event_loop() or not known.servers else CATALOGUE.refreshed(HINT_TIMEOUT)
        problems = [f"{name or 'The agent tools'}: {problem}" for name, problem in known.problems.items()]
        return " ".join([*(listing.reason for listing in listings if listing.reason), *problems])


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _tool_of_server(listing: Listing, tool: str) -> TaskFunction:
    found = (listing.tools or {}).get(tool)
    if found is not None:
        return _function(found.full_name, found)
    if listing.reason:
        raise UnknownFunction(listing.reason)
    known_tools = ", ".join(listing.tools or {}) or "none"
    raise UnknownFunction(f"{listing.server.name!r} has no tool {tool!r}; it has: {known_tools}.", retryable=False)


def _tool_of_any_server(name: str) -> TaskFunction | None:
    found, _ = CATALOGUE.find_tool(name)
    if len(found) == 1:
        return _function(name, found[0])
    if found:
        choice = ", ".join(tool.full_name for tool in found)
        raise UnknownFunction(f"{name!r} is a tool of several servers. Use one of {choice}.", retryable=False)
    return None


@lru_cache(maxsize=4096)
def _function(name: str, tool: Tool | None) -> TaskFunction:
    """Return the tool as a task function. Without a tool, the call looks it up."""
    from executor.agents.schemas import ToolParameters, parameters_of

    doc = (tool.description or tool.title) if tool else ""
    summary = next((line for line in doc.splitlines() if line.strip()), "")
    return TaskFunction(
        name=name,
        call=partial(_call, name),
        parameters=parameters_of(name, tool.schema) if tool else ToolParameters,
        is_async=True,
        model_name="params",
        context_name="context",
        summary=summary[:200],
        doc=doc[:4000],
        built_in=False,
        scope=tool.server.scope if tool else "",
        unavailable=partial(_unavailable, tool.server.name) if tool else lambda: "",
    )


def _unavailable(server: str) -> str:
    listing = CATALOGUE.listing(server)
    return listing.reason if listing else f"The MCP server {server!r} is no longer configured."


async def _call(name: str, params: ToolParameters, context: TaskContext) -> dict:
    # In a thread: the MCP client takes a second to load, which must not block other tasks.
    calls = await asyncio.to_thread(importlib.import_module, "executor.agents.calls")

    async def progress(done: float, total: float | None, text: str | None) -> None:
        context.progress(done, total, text or "")

    server, tool = await _locate(name)
    return await calls.call(server, tool, params.root, progress)


async def _locate(name: str) -> tuple[McpServer, str]:
    """Return the server and the tool of that name. Raises AgentUnavailable, UnknownFunction."""
    servers = configuration.current().servers
    server, _, tool = name.partition(".")
    if tool and server in servers:
        return servers[server], tool
    found, unavailable = await asyncio.to_thread(CATALOGUE.find_tool, name)
    if len(found) == 1:
        return found[0].server, found[0].name
    if not found and unavailable:
        raise AgentUnavailable(" ".join(listing.reason for listing in unavailable))
    reason = "is now a tool of several servers" if found else "is neither a task function nor a tool of an MCP server"
    raise UnknownFunction(f"{name!r} {reason}.", retryable=False)


add_source(AgentTools())
