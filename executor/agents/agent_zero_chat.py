"""A chat with an Agent Zero instance through its external API, and the errors of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from executor.domain.errors import AgentUnavailable, AnswerLost, TaskError, ToolFailed

from . import outgoing
from .configuration import AgentZero

OPENING_MESSAGE = (
    "A task follows in the next message. Do nothing yet, use no tools, and answer with the one word: ready"
)
POLL_INTERVAL = 2.0  # seconds between two requests of the agent's log
POLL_TIMEOUT = 10.0  # seconds
MAX_LOG_ITEMS = 100  # of one request

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, outgoing.AddressRefused)


@dataclass(frozen=True)
class Callbacks:
    """Receivers of the agent's log lines and progress."""

    log: Callable[[str], None]
    progress: Callable[[float, float | None, str], None]


class Chat:
    """A chat. `context_id` is empty until the first answer reveals it; `prefix` is the path of the API."""

    def __init__(self, instance: AgentZero, http: httpx2.AsyncClient):
        self._instance, self._http = instance, http
        self.prefix = instance.path.rstrip("/")
        self.context_id = ""

    async def open(self, settings: dict[str, Any]) -> None:
        """Open the chat with a message that requests nothing.

        Raises AgentUnavailable or a retryable ToolFailed where a repetition is harmless.
        """
        try:
            answer = await self._post({**settings, "message": OPENING_MESSAGE})
        except httpx2.TransportError as error:
            raise self._unavailable(error) from None
        except AnswerLost:
            message = f"{name_of(self._instance)} did not open a chat; another service may answer at its address."
            raise AgentUnavailable(message) from None
        except ToolFailed as error:
            error.retryable = error.details is not None  # the agent failed; an invalid request stays invalid
            raise
        self.context_id = answer["context_id"]

    async def send(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send the task's message, once. Raises AgentUnavailable, ToolFailed, AnswerLost."""
        try:
            return await self._post({**body, "context_id": self.context_id} if self.context_id else body)
        except _NOT_SENT as error:
            raise self._unavailable(error) from None
        except httpx2.TransportError as error:
            raise self._lost(str(error) or type(error).__name__) from None

    async def watch(self, callbacks: Callbacks) -> None:
        """Poll the agent's log and pass it on, until cancelled. Failed polls are ignored."""
        seen = 0
        while self.context_id:
            await asyncio.sleep(POLL_INTERVAL)
            try:
                async with asyncio.timeout(POLL_TIMEOUT):
                    body = {"context_id": self.context_id, "length": MAX_LOG_ITEMS}
                    response = await self._http.post(self._url("api_log_get"), json=body)
                log = response.json()["log"]
                items, start = log["items"], int(log["start_position"])
                for item in items[max(0, seen - start) :]:
                    text = " ".join(str(item.get(part) or "").strip() for part in ("heading", "content")).strip()
                    callbacks.log(f"{item.get('type', '')}: {text[:500]}\n")
                seen = start + len(items)
                callbacks.progress(seen, None, str(log.get("progress") or "")[:200])
            except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError, AttributeError):
                pass  # only the answer counts, and it arrives by another request

    def _url(self, handler: str) -> str:
        return f"{self._instance.url.rstrip('/')}{self.prefix}/{handler}"

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._http.post(self._url("api_message"), json=body)
        if response.status_code == 404 and self.prefix and not self.context_id and "Context" not in response.text:
            self.prefix = ""  # versions before 1.0 have no /api
            response = await self._http.post(self._url("api_message"), json=body)
        return self._parse(response)

    def _parse(self, response: httpx2.Response) -> dict[str, Any]:
        """Return the answer. Raises the error that it represents."""
        status = response.status_code
        try:
            content = response.json()
        except ValueError:
            content = {"error": response.text.strip()[:300]}
        reason = self._instance.hide(str(content.get("error") or "")) if isinstance(content, dict) else ""
        message = f"{name_of(self._instance)} answered {status}" + (f": {reason}" if reason else "") + "."
        match status:
            case 200:
                if isinstance(content, dict) and isinstance(content.get("context_id"), str) and "response" in content:
                    return {"context_id": content["context_id"], "response": content["response"]}
                raise self._lost("the answer does not follow the API")
            case 429:
                raise AgentUnavailable(message, retry_after=_seconds(response.headers.get("Retry-After", "")))
            case 404 if self.context_id:
                raise AgentUnavailable(f"{name_of(self._instance)} lost the chat before it got the message.")
            case 401 | 403:
                raise ToolFailed(f"{message} Its api_key in the configuration is wrong.", retryable=False)
            case 500:
                raise ToolFailed(f"The agent failed. {message}", retryable=False, details=self._details())
            case _ if status > 500:
                raise self._lost(f"a proxy answered {status}")
        raise ToolFailed(f"{message} The message was not accepted.", retryable=False)

    def _details(self) -> dict[str, str]:
        return {"agent": self._instance.name, "context_id": self.context_id}

    def _unavailable(self, error: Exception) -> TaskError:
        if isinstance(error, outgoing.AddressRefused):
            return ToolFailed(str(error), retryable=False)
        reason = "nothing answers there" if isinstance(error, _NOT_SENT) else self._instance.hide(str(error))
        return AgentUnavailable(f"{name_of(self._instance)} cannot be reached: {reason or type(error).__name__}.")

    def _lost(self, reason: str) -> AnswerLost:
        chat = f" Its chat is {self.context_id}." if self.context_id else ""
        return AnswerLost(
            f"{name_of(self._instance)} got the message, and its answer was lost ({self._instance.hide(reason)}). "
            f"The agent may have done the work, so the message is not sent again automatically.{chat} "
            "Retry the task to send it.",
            retryable=False,
            details=self._details(),
        )


def name_of(instance: AgentZero) -> str:
    """Return the name and address of an instance for messages."""
    return f"Agent Zero {instance.name!r} ({instance.where})"


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdecimal() else None
