"""One message to an Agent Zero instance, and its answer.

The external API answers when the agent has finished, and tells the chat's id only then. So a chat is opened first with
a message that asks for nothing: from then on the agent can be watched, and stopped when the task is cancelled.

An agent that was sent a message has perhaps acted on it. Where that cannot be known, the message is never sent again by
itself: a file beside the database says, from just before it is sent until its fate is known, that it is out there.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from executor.domain.errors import AgentUnavailable, AnswerLost, TaskError, ToolFailed

from . import outgoing
from .configuration import AgentZero

OPENING = "A task follows in the next message. Do nothing yet, use no tools, and answer with the one word: ready"
LOOK = 2.0  # seconds between two looks at what the agent does
FAREWELL = 1.6  # seconds to stop an agent; the worker waits two
ATTACHMENT = 25 * 1024 * 1024  # bytes of a file that is fetched

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, outgoing.Refused)


@dataclass(frozen=True)
class Message:
    """What the agent is told. Attachments are {"filename", "base64"} or {"filename", "url"}."""

    text: str
    attachments: list[dict[str, str]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)  # of the chat: lifetime_hours, project_name, agent_profile


@dataclass(frozen=True)
class Watcher:
    """Who is told what the agent does."""

    log: Callable[[str], None]
    progress: Callable[[float, float | None, str], None]


class Mark:
    """The file that says that a message is out there. `path` is that of this attempt: <number>-<attempt>/<name>."""

    def __init__(self, path: Path):
        self._path = path

    def left_behind(self) -> list[Path]:
        """Those of earlier attempts, which ended without knowing what became of their message."""
        number = self._path.parent.name.rpartition("-")[0]
        found = self._path.parent.parent.glob(f"{number}-*/{self._path.name}")
        return [path for path in found if path != self._path]

    def set(self, context_id: str) -> None:
        self._path.write_text(json.dumps({"context_id": context_id}))

    def clear(self, *paths: Path) -> None:
        for path in paths or (self._path,):
            path.unlink(missing_ok=True)
            self.tidy(path)

    def tidy(self, path: Path | None = None) -> None:
        """The folder goes when nothing is in it."""
        with contextlib.suppress(OSError):
            (path or self._path).parent.rmdir()


async def ask(instance: AgentZero, message: Message, mark: Mark, watcher: Watcher) -> dict[str, Any]:
    """The agent's answer: `response`, and the `context_id` of its chat.

    Raises AgentUnavailable, ToolFailed, AnswerLost.
    """
    try:
        return await _ask(instance, message, mark, watcher)
    finally:
        mark.tidy()


async def _ask(instance: AgentZero, message: Message, mark: Mark, watcher: Watcher) -> dict[str, Any]:
    if earlier := mark.left_behind():
        mark.clear(*earlier)
        raise AnswerLost(
            f"An earlier attempt sent this message to {_named(instance)} and ended before the answer came. The agent "
            "may have done the work, so the message was not sent again. Retry the task to send it.",
            retryable=False,
        )
    attachments = [await _attached(instance, each) for each in message.attachments]
    headers = {"X-API-KEY": instance.api_key}
    async with outgoing.client(instance.url, verify=instance.verify, headers=headers) as http:
        chat = _Chat(instance, http)
        about = dict(message.settings)
        if instance.open_chat:
            await chat.open(about)
            about = {}
        mark.set(chat.context_id)
        watching = asyncio.create_task(chat.watch(watcher))
        try:
            answer = await chat.send({**about, "message": message.text, "attachments": attachments})
        except asyncio.CancelledError:
            # Not with this client, and not in this task: both are about to end.
            ending = asyncio.create_task(_end(instance, chat.prefix, chat.context_id, mark))
            _endings.add(ending)
            ending.add_done_callback(_endings.discard)
            await asyncio.shield(ending)
            raise
        except TaskError:
            mark.clear()  # what became of it is known, or is recorded as unknown
            raise
        finally:
            watching.cancel()
        mark.clear()
        return {"agent": instance.name, **answer}


_endings: set[asyncio.Task] = set()


async def _end(instance: AgentZero, prefix: str, context_id: str, mark: Mark) -> None:
    """Stop an agent. Where that is not confirmed, the mark stays."""
    if not context_id:
        return
    headers = {"X-API-KEY": instance.api_key}
    async with outgoing.client(instance.url, verify=instance.verify, headers=headers, timeout=FAREWELL) as http:
        with contextlib.suppress(httpx2.TransportError, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                url = f"{instance.url.rstrip('/')}{prefix}/api_terminate_chat"
                response = await http.post(url, json={"context_id": context_id})
            if response.status_code in (200, 404):
                mark.clear()


class _Chat:
    def __init__(self, instance: AgentZero, http: httpx2.AsyncClient):
        self._instance, self._http = instance, http
        self.prefix = instance.path.rstrip("/")
        self.context_id = ""

    async def open(self, about: dict[str, Any]) -> None:
        """A chat that nothing was asked for yet: whatever goes wrong here may be tried again."""
        try:
            answer = await self._post({**about, "message": OPENING})
        except httpx2.TransportError as error:
            raise self._unavailable(error) from None
        except AnswerLost:
            told = f"{_named(self._instance)} did not open a chat; perhaps something else answers in its place."
            raise AgentUnavailable(told) from None
        except ToolFailed as error:
            error.retryable = error.details is not None  # the agent failed; what is wrong with the request stays so
            raise
        self.context_id = answer["context_id"]

    async def send(self, body: dict[str, Any]) -> dict[str, Any]:
        """The message that counts: it is sent once."""
        try:
            return await self._post({**body, "context_id": self.context_id} if self.context_id else body)
        except _NOT_SENT as error:
            raise self._unavailable(error) from None
        except httpx2.TransportError as error:
            raise self._lost(str(error) or type(error).__name__) from None

    async def watch(self, watcher: Watcher) -> None:
        """Tell what the agent does, as long as it can be told."""
        seen = 0
        while self.context_id:
            await asyncio.sleep(LOOK)
            try:
                async with asyncio.timeout(10):
                    body = {"context_id": self.context_id, "length": 100}
                    response = await self._http.post(self._url("api_log_get"), json=body)
                log = response.json()["log"]
                items, start = log["items"], int(log["start_position"])
                for item in items[max(0, seen - start) :]:
                    told = " ".join(str(item.get(part) or "").strip() for part in ("heading", "content")).strip()
                    watcher.log(f"{item.get('type', '')}: {told[:500]}\n")
                seen = start + len(items)
                watcher.progress(seen, None, str(log.get("progress") or "")[:200])
            except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError, AttributeError):
                pass  # the answer matters, and comes another way

    def _url(self, handler: str) -> str:
        return f"{self._instance.url.rstrip('/')}{self.prefix}/{handler}"

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._http.post(self._url("api_message"), json=body)
        if response.status_code == 404 and self.prefix and not self.context_id and "Context" not in response.text:
            self.prefix = ""  # versions before 1.0 have no /api
            response = await self._http.post(self._url("api_message"), json=body)
        return self._judged(response)

    def _judged(self, response: httpx2.Response) -> dict[str, Any]:
        """The answer, or the error that it is."""
        status = response.status_code
        try:
            content = response.json()
        except ValueError:
            content = {"error": response.text.strip()[:300]}
        said = self._instance.hide(str(content.get("error") or "")) if isinstance(content, dict) else ""
        told = f"{_named(self._instance)} answered {status}" + (f": {said}" if said else "") + "."
        match status:
            case 200:
                if isinstance(content, dict) and isinstance(content.get("context_id"), str) and "response" in content:
                    return {"context_id": content["context_id"], "response": content["response"]}
                raise self._lost("it answered something else than its API says")
            case 429:
                raise AgentUnavailable(told, retry_after=_seconds(response.headers.get("Retry-After", "")))
            case 404 if self.context_id:
                raise AgentUnavailable(f"{_named(self._instance)} has forgotten the chat before it got its message.")
            case 401 | 403:
                raise ToolFailed(f"{told} Its api_key in the configuration is wrong.", retryable=False)
            case 500:
                raise ToolFailed(f"The agent failed. {told}", retryable=False, details=self._where())
            case _ if status > 500:
                raise self._lost(f"something before it answered {status}")
        raise ToolFailed(f"{told} The message was not taken.", retryable=False)

    def _where(self) -> dict[str, str]:
        return {"agent": self._instance.name, "context_id": self.context_id}

    def _unavailable(self, error: Exception) -> TaskError:
        if isinstance(error, outgoing.Refused):
            return ToolFailed(str(error), retryable=False)
        said = "nothing answers there" if isinstance(error, _NOT_SENT) else self._instance.hide(str(error))
        return AgentUnavailable(f"{_named(self._instance)} cannot be reached: {said or type(error).__name__}.")

    def _lost(self, why: str) -> AnswerLost:
        chat = f" Its chat is {self.context_id}." if self.context_id else ""
        return AnswerLost(
            f"{_named(self._instance)} got the message, and its answer was lost ({self._instance.hide(why)}). "
            f"The agent may have done the work, so the message is not sent again by itself.{chat} "
            "Retry the task to send it.",
            retryable=False,
            details=self._where(),
        )


def _named(instance: AgentZero) -> str:
    return f"Agent Zero {instance.name!r} ({instance.where})"


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdecimal() else None


async def _attached(instance: AgentZero, given: dict[str, str]) -> dict[str, str]:
    """The attachment as the API takes it. A file that is elsewhere is fetched, from the open Internet alone."""
    if "url" not in given:
        return given
    try:
        content = await outgoing.fetch(given["url"], most=ATTACHMENT)
    except (outgoing.Refused, outgoing.TooMuch, ValueError) as error:
        raise ToolFailed(f"The attachment {given['filename']!r} was not fetched: {error}", retryable=False) from None
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        told = f"The attachment {given['filename']!r} was not fetched: its server answered {status}."
        raise ToolFailed(told, retryable=status >= 500) from None
    except (httpx2.HTTPError, TimeoutError) as error:
        why = type(error).__name__
        raise AgentUnavailable(f"The attachment {given['filename']!r} could not be fetched ({why}).") from None
    return {"filename": given["filename"], "base64": base64.b64encode(content).decode()}
