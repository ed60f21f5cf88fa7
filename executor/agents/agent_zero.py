"""One message to an Agent Zero instance, and its answer.

The external API answers when the agent has finished, and reveals the chat's id only then. So each chat is opened with a
message that requests nothing: with the id the agent can be watched, and stopped when the task is cancelled.

An agent that was sent a message may have acted on it. A message whose fate is unknown is never sent again
automatically: a marker file beside the database exists from just before it is sent until its fate is known.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from dataclasses import dataclass, field
from typing import Any

import httpx2

from executor.domain.errors import AgentUnavailable, AnswerLost, TaskError, ToolFailed

from . import delivery_marker, outgoing
from .agent_zero_chat import Callbacks, Chat, name_of
from .configuration import AgentZero
from .delivery_marker import DeliveryMarker

TERMINATE_TIMEOUT = 1.6  # seconds; the worker's grace period for a cancelled function is two
MAX_ATTACHMENT = 25 * 1024 * 1024  # bytes of a fetched file


@dataclass(frozen=True)
class Message:
    """A message for the agent. Attachments are {"filename", "base64"} or {"filename", "url"}."""

    text: str
    attachments: list[dict[str, str]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)  # of the chat: lifetime_hours, project_name, agent_profile


async def ask(instance: AgentZero, message: Message, marker: DeliveryMarker, callbacks: Callbacks) -> dict[str, Any]:
    """Send the message and return `response`, the agent's answer, and the `context_id` of its chat.

    Raises AgentUnavailable, ToolFailed, AnswerLost.
    """
    try:
        return await _ask(instance, message, marker, callbacks)
    finally:
        marker.remove_empty_folder()


async def _ask(instance: AgentZero, message: Message, marker: DeliveryMarker, callbacks: Callbacks) -> dict[str, Any]:
    if earlier := marker.of_earlier_attempts():
        for path in earlier:
            delivery_marker.remove(path)
        raise AnswerLost(
            f"An earlier attempt sent this message to {name_of(instance)} and ended before the answer came. The agent "
            "may have done the work, so the message was not sent again. Retry the task to send it.",
            retryable=False,
        )
    attachments = [await _attached(instance, attachment) for attachment in message.attachments]
    headers = {"X-API-KEY": instance.api_key}
    async with outgoing.client(instance.url, verify=instance.verify, headers=headers) as http:
        chat = Chat(instance, http)
        settings = dict(message.settings)
        if instance.open_chat:
            await chat.open(settings)
            settings = {}
        marker.set(chat.context_id)
        watching = asyncio.create_task(chat.watch(callbacks))
        try:
            answer = await chat.send({**settings, "message": message.text, "attachments": attachments})
        except asyncio.CancelledError:
            # Neither with this client nor in this task: both are about to end.
            ending = asyncio.create_task(_terminate(instance, chat.prefix, chat.context_id, marker))
            _endings.add(ending)
            ending.add_done_callback(_endings.discard)
            await asyncio.shield(ending)
            raise
        except TaskError:
            marker.clear()  # the outcome of the message is known, or recorded with the task as unknown
            raise
        finally:
            watching.cancel()
        marker.clear()
        return {"agent": instance.name, **answer}


_endings: set[asyncio.Task] = set()


async def _terminate(instance: AgentZero, prefix: str, context_id: str, marker: DeliveryMarker) -> None:
    """Stop the agent. The marker stays unless that is confirmed."""
    if not context_id:
        return
    headers = {"X-API-KEY": instance.api_key}
    async with outgoing.client(
        instance.url, verify=instance.verify, headers=headers, timeout=TERMINATE_TIMEOUT
    ) as http:
        with contextlib.suppress(httpx2.TransportError, TimeoutError):
            async with asyncio.timeout(TERMINATE_TIMEOUT):
                url = f"{instance.url.rstrip('/')}{prefix}/api_terminate_chat"
                response = await http.post(url, json={"context_id": context_id})
            if response.status_code in (200, 404):
                marker.clear()


async def _attached(instance: AgentZero, attachment: dict[str, str]) -> dict[str, str]:
    """Return the attachment as the API takes it. A file elsewhere is fetched, from the open Internet only.

    Raises ToolFailed, AgentUnavailable.
    """
    if "url" not in attachment:
        return attachment
    name = attachment["filename"]
    try:
        content = await outgoing.fetch(attachment["url"], max_size=MAX_ATTACHMENT)
    except (outgoing.AddressRefused, outgoing.ResponseTooLarge, ValueError) as error:
        raise ToolFailed(f"The attachment {name!r} was not fetched: {error}", retryable=False) from None
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        message = f"The attachment {name!r} was not fetched: its server answered {status}."
        raise ToolFailed(message, retryable=status >= 500) from None
    except (httpx2.HTTPError, TimeoutError) as error:
        reason = type(error).__name__
        raise AgentUnavailable(f"The attachment {name!r} could not be fetched ({reason}).") from None
    return {"filename": name, "base64": base64.b64encode(content).decode()}
