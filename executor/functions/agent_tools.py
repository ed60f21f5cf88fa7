"""Every other name: a tool of an MCP server, as `server.tool`, or as `tool` where only one server has it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable
from functools import lru_cache, partial

from executor.agents import configuration
from executor.agents.catalogue import CATALOGUE, Listing, Tool
from executor.domain.errors import AgentUnavailable, UnknownFunction

from .context import TaskContext
from .registry import TaskFunction, add_source

PATIENCE = 6.0  # seconds that a whole list of functions waits for servers that were never seen
GLANCE = 0.5


class AgentTools:
    """The tools of all configured MCP servers."""

    def names(self, patient: bool) -> Iterable[str]:
        if not configuration.current().servers:
            return
        for listing in [] if _on_event_loop() else CATALOGUE.all(PATIENCE if patient else GLANCE):
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
            told = f"{server!r} is an Agent Zero instance: call agent_zero with {{'agent': {server!r}, 'message': …}}."
            raise UnknownFunction(told, retryable=False)
        if not known.servers:
            return None
        if _on_event_loop():
            # Nothing may block here; that it exists was found out when the task was added.
            return _function(name, None)
        if tool and server in known.servers:
            return _of_server(CATALOGUE.listing(server), tool)
        return _anywhere(name)

    def gaps(self) -> str:
        known = configuration.current()
        listings = [] if _on_event_loop() or not known.servers else CATALOGUE.all(GLANCE)
        told = [f"{name or 'The agent tools'}: {problem}" for name, problem in known.problems.items()]
        return " ".join([*(listing.reason for listing in listings if listing.reason), *told])


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _of_server(listing: Listing, tool: str) -> TaskFunction:
    found = (listing.tools or {}).get(tool)
    if found is not None:
        return _function(found.full_name, found)
    if listing.reason:
        raise UnknownFunction(listing.reason)
    told = ", ".join(listing.tools) or "none"
    raise UnknownFunction(f"{listing.server.name!r} has no tool {tool!r}; it has: {told}.", retryable=False)


def _anywhere(name: str) -> TaskFunction | None:
    found, _ = CATALOGUE.having(name)
    if len(found) == 1:
        return _function(name, found[0])
    if found:
        choice = ", ".join(tool.full_name for tool in found)
        raise UnknownFunction(f"{name!r} is a tool of several servers; say which: {choice}.", retryable=False)
    return None


@lru_cache(maxsize=4096)
def _function(name: str, tool: Tool | None) -> TaskFunction:
    """The tool as a task function. Without a tool it is looked for when it is called."""
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
    return listing.reason if listing else f"The MCP server {server!r} is configured no longer."


async def _call(name: str, params, context: TaskContext) -> dict:
    # The MCP client takes a second to load, in which the worker's other tasks go on.
    calls = await asyncio.to_thread(importlib.import_module, "executor.agents.calls")

    async def progress(done: float, total: float | None, text: str | None) -> None:
        context.progress(done, total, text or "")

    server, tool = await _located(name)
    return await calls.call(server, tool, params.root, progress)


async def _located(name: str):
    servers = configuration.current().servers
    server, _, tool = name.partition(".")
    if tool and server in servers:
        return servers[server], tool
    found, silent = await asyncio.to_thread(CATALOGUE.having, name)
    if len(found) == 1:
        return found[0].server, found[0].name
    if not found and silent:
        raise AgentUnavailable(" ".join(listing.reason for listing in silent))
    told = "is a tool of several servers now" if found else "is no task function and no tool of an MCP server"
    raise UnknownFunction(f"{name!r} {told}.", retryable=False)


add_source(AgentTools())
