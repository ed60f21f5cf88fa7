"""One call of a tool, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, METHOD_NOT_FOUND, REQUEST_TIMEOUT, CallToolResult, TextContent
from pydantic import ValidationError

from executor.domain.errors import AgentUnavailable, TaskError, TaskTimeout, ToolFailed

from . import outgoing
from .configuration import McpServer
from .connections import connections
from .transports import Session, Unreachable, reason_of

Progress = Callable[[float, float | None, str | None], Awaitable[None]]


async def call(server: McpServer, tool: str, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """What the tool gave: `text`, `structured` when it has any, and `content` with all that is no text.

    Raises AgentUnavailable, ToolFailed, TaskTimeout.
    """
    outcome: dict[str, Any] | MCPError | None = None
    try:
        async with connections().session(server) as session:
            try:
                answer = await session.client.call_tool(
                    tool, arguments, read_timeout_seconds=server.tool_timeout, progress_callback=progress
                )
                outcome = _result(answer)
            except MCPError as error:
                outcome = error
            except ValidationError:
                told = f"The MCP server {server.name!r} answered something that MCP does not know."
                raise ToolFailed(told, retryable=False) from None
            except RuntimeError as error:
                # The client's way to say that the answer does not fit the schema which the tool itself has given.
                raise ToolFailed(server.hide(f"{server.name}.{tool}: {error}")[:2000], retryable=False) from None
    except Unreachable as error:
        raise AgentUnavailable(f"{_named(server)} cannot be used: {error}.") from None
    except BaseExceptionGroup as group:
        # How a session ends whose connection broke. An answer that came before that is an answer.
        if not isinstance(outcome, dict):
            raise _broken(server, tool, _first(group)) from None
    if not isinstance(outcome, dict):
        raise _failure(server, tool, session, outcome) from None
    if outcome.pop("is_error"):
        told = server.hide(outcome["text"].strip())[:2000] or "it said nothing more"
        raise ToolFailed(f"{server.name}.{tool} failed: {told}", details={"text": told})
    return outcome


def _named(server: McpServer) -> str:
    return f"The MCP server {server.name!r} ({server.where})"


def _first(group: BaseExceptionGroup) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _broken(server: McpServer, tool: str, error: BaseException) -> BaseException:
    if isinstance(error, TaskError):
        return error
    reason = reason_of(server, error, [])
    if isinstance(error, outgoing.Refused | outgoing.TooMuch):
        return ToolFailed(f"{server.name}.{tool}: {reason}", retryable=False)
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return AgentUnavailable(f"{_named(server)} cannot be used: {reason}.")
    return AgentUnavailable(f"{_named(server)} went away while {tool} ran: {reason}.")


def _failure(server: McpServer, tool: str, session: Session, error: MCPError) -> Exception:
    name = f"{server.name}.{tool}"
    if error.code == REQUEST_TIMEOUT and server.tool_timeout:
        return TaskTimeout(f"{name} did not answer within {server.tool_timeout:g} s, its server's tool_timeout.")
    if error.code == CONNECTION_CLOSED:
        return AgentUnavailable(f"{_named(server)} went away while {tool} ran.")
    if error.code in (INVALID_PARAMS, METHOD_NOT_FOUND):
        return ToolFailed(f"{name} was refused by its server: {session.reason(error)}.", retryable=False)
    return ToolFailed(f"{name} failed: {session.reason(error)}.")


def _result(answer: CallToolResult) -> dict[str, Any]:
    """The parts of an answer that say something."""
    others = [
        item.model_dump(mode="json", by_alias=True, exclude_none=True)
        for item in answer.content
        if not isinstance(item, TextContent)
    ]
    text = "\n".join(item.text for item in answer.content if isinstance(item, TextContent))
    result: dict[str, Any] = {"text": text, "is_error": answer.is_error}
    if answer.structured_content is not None:
        result["structured"] = answer.structured_content
    if others:
        result["content"] = others
    return result
