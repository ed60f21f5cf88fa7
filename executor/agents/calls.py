"""One call of a tool."""

from __future__ import annotations

from typing import Any

import httpx2
from mcp import MCPError
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CONNECTION_CLOSED, INVALID_PARAMS, METHOD_NOT_FOUND, REQUEST_TIMEOUT, CallToolResult, TextContent
from pydantic import ValidationError

from executor.domain.errors import AgentUnavailable, TaskError, TaskTimeout, ToolFailed

from . import outgoing
from .configuration import McpServer
from .connections import connections
from .transports import Session, reason_of
from .unreachable import Unreachable


async def call(server: McpServer, tool: str, arguments: dict[str, Any], progress: ProgressFnT) -> dict[str, Any]:
    """Call a tool and return `text`, `structured` if the tool provides it, and `content` with the parts without text.

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
                message = f"The MCP server {server.name!r} sent an answer that is not valid MCP."
                raise ToolFailed(message, retryable=False) from None
            except RuntimeError as error:
                # The client raises this when the answer violates the tool's own output schema.
                raise ToolFailed(server.hide(f"{server.name}.{tool}: {error}")[:2000], retryable=False) from None
    except Unreachable as error:
        raise AgentUnavailable(f"{_name_of(server)} cannot be used: {error}.") from None
    except BaseExceptionGroup as group:
        # The session ended because its connection broke. An answer before that is valid.
        if not isinstance(outcome, dict):
            raise _broken(server, tool, _first(group)) from None
    if not isinstance(outcome, dict):
        raise _failure(server, tool, session, outcome) from None
    if outcome.pop("is_error"):
        reason = server.hide(outcome["text"].strip())[:2000] or "it gave no reason"
        raise ToolFailed(f"{server.name}.{tool} failed: {reason}", details={"text": reason})
    return outcome


def _name_of(server: McpServer) -> str:
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
    if isinstance(error, outgoing.AddressRefused | outgoing.ResponseTooLarge):
        return ToolFailed(f"{server.name}.{tool}: {reason}", retryable=False)
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return AgentUnavailable(f"{_name_of(server)} cannot be used: {reason}.")
    return AgentUnavailable(f"{_name_of(server)} was lost while {tool} ran: {reason}.")


def _failure(server: McpServer, tool: str, session: Session, error: MCPError) -> Exception:
    name = f"{server.name}.{tool}"
    if error.code == REQUEST_TIMEOUT and server.tool_timeout:
        return TaskTimeout(f"{name} did not answer within {server.tool_timeout:g} s, its server's tool_timeout.")
    if error.code == CONNECTION_CLOSED:
        return AgentUnavailable(f"{_name_of(server)} was lost while {tool} ran.")
    if error.code in (INVALID_PARAMS, METHOD_NOT_FOUND):
        return ToolFailed(f"{name} was refused by its server: {session.reason(error)}.", retryable=False)
    return ToolFailed(f"{name} failed: {session.reason(error)}.")


def _result(answer: CallToolResult) -> dict[str, Any]:
    """Return the parts of an answer that are not empty."""
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
