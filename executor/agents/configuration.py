"""Which MCP servers and Agent Zero instances there are.

From the setting AGENT_TOOLS and from the JSON file that BATCH_AGENT_TOOLS names, in the shape that agents use:

    {"mcpServers": {"files": {"command": "npx", "args": [...], "env": {...}},
                    "search": {"type": "streamable-http", "url": "https://…/mcp", "headers": {...}}},
     "agentZero": {"home": {"url": "http://…", "api_key": {"$secret": "HOME_KEY"}}}}

`${NAME}` within a text, and `{"$secret": "NAME"}` in its place, stand for a variable of the environment. An entry that
is wrong becomes a problem of its own name; the others work.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .self_address import leads_to_us

logger = logging.getLogger(__name__)

_VARIABLE = re.compile(r"\$\{(\w+)\}")
HIDDEN = "•••"
SHORTEST_SECRET = 6  # characters; hiding every "1" of a text would leave nothing of it


class _Entry(BaseModel):
    """What is common to both kinds. Keys that other programs put there are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")
    url: str = Field("", repr=False)
    verify: bool = True
    secrets: frozenset[str] = Field(frozenset(), repr=False)

    @field_validator("url")
    @classmethod
    def _url_is_one(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("url must be an address that begins with http:// or https://")
        if url and leads_to_us(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)):
            raise ValueError("that is this site itself (BATCH_PORT, BATCH_HOSTS), which must not call itself")
        return url

    @property
    def where(self) -> str:
        """Its address as it may be shown: the path of a url may be a password."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")

    def hide(self, text: str) -> str:
        """The text without anything that is this entry's secret."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


class McpServer(_Entry):
    """An MCP server: one that is reached over HTTP, or a program that is started."""

    type: Literal["streamable-http", "stdio"]
    scope: Literal["", "code"] = ""
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    command: str = ""
    args: list[str] = Field(default_factory=list, repr=False)
    env: dict[str, str] = Field(default_factory=dict, repr=False)
    cwd: str | None = None
    init_timeout: float = Field(10, gt=0, le=120)
    tool_timeout: float | None = Field(None, gt=0)
    disabled_tools: frozenset[str] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _one_name_for_each_kind(cls, entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        entry = {**entry, "url": entry.get("url") or entry.get("serverUrl") or ""}
        kind = str(entry.get("type") or ("stdio" if entry.get("command") else "http")).lower()
        if kind in ("http", "http-stream", "http-streaming", "streaming-http", "streamable-http", "streamable_http"):
            kind = "streamable-http"
        elif kind == "sse":
            raise ValueError("the old transport sse is not spoken; most servers offer streamable-http as well")
        return {**entry, "type": kind}

    @model_validator(mode="after")
    def _it_can_be_found(self):
        if self.type == "stdio" and not self.command:
            raise ValueError("command is missing: the program to start")
        if self.type != "stdio" and not self.url:
            raise ValueError("url is missing, or command")
        return self

    @property
    def where(self) -> str:
        return self.command if self.type == "stdio" else super().where


class AgentZero(_Entry):
    """An Agent Zero instance and its external API."""

    url: str = Field(min_length=1, repr=False)
    api_key: str = Field(min_length=1, repr=False)
    path: str = Field("/api", pattern=r"^(/[\w.-]+)*$")
    open_chat: bool = True


@dataclass(frozen=True)
class Configuration:
    """`problems`: name → why that server or instance cannot be used; "" is the whole file."""

    servers: dict[str, McpServer] = field(default_factory=dict)
    instances: dict[str, AgentZero] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


_lock = threading.Lock()
_read: tuple[Any, Configuration] | None = None


def current() -> Configuration:
    """What is configured now; the file is read again when it has changed."""
    global _read
    path = getattr(settings, "BATCH_AGENT_TOOLS", "")
    given = getattr(settings, "AGENT_TOOLS", None) or {}
    if not path and not given:
        return _NOTHING
    state = (path, _state_of(path), repr(given))
    with _lock:
        if _read is None or _read[0] != state:
            _read = (state, read(given, path))
            for name, problem in _read[1].problems.items():
                logger.warning("agent tools%s: %s", f", {name!r}" if name else "", problem)
        return _read[1]


_NOTHING = Configuration()


def _state_of(path: str) -> tuple | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read(given: Any, path: str = "") -> Configuration:
    """The configuration of a setting and a file. What is wrong with either is a problem in it."""
    found = Configuration()
    _take(given, found)
    if path:
        try:
            _take(json.loads(Path(path).read_text()), found)
        except (OSError, UnicodeDecodeError) as error:
            found.problems[""] = f"the file of BATCH_AGENT_TOOLS cannot be read ({type(error).__name__})."
        except json.JSONDecodeError as error:
            # Of the text itself nothing is repeated: it may hold keys.
            found.problems[""] = f"the file of BATCH_AGENT_TOOLS is no JSON: line {error.lineno}, {error.msg}."
    return found


def _take(given: Any, found: Configuration) -> None:
    for kind, model, into in (
        ("mcpServers", McpServer, found.servers),
        ("agentZero", AgentZero, found.instances),
    ):
        entries = given.get(kind, {}) if isinstance(given, dict) else None
        if not isinstance(entries, dict):
            found.problems[""] = 'it must be an object like {"mcpServers": {name: {…}}, "agentZero": {name: {…}}}.'
            continue
        for name, entry in entries.items():
            if isinstance(entry, dict) and entry.get("disabled"):
                continue
            found.problems.pop(name, None)
            into.pop(name, None)
            try:
                if name in found.servers or name in found.instances:
                    raise ValueError("the name is used twice")
                into[name] = _entry(model, name, entry)
            except ValidationError as error:
                found.problems[name] = "; ".join(_told(problem) for problem in error.errors(include_url=False)) + "."
            except ValueError as error:
                found.problems[name] = f"{error}."


def _told(problem: dict) -> str:
    """What is wrong, without the value: that may be a key."""
    place = ".".join(map(str, problem["loc"]))
    said = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def _entry(model: type[_Entry], name: str, entry: Any) -> Any:
    if not isinstance(entry, dict):
        raise ValueError("must be an object")
    secrets: set[str] = set()
    filled = _filled({key: value for key, value in entry.items() if key != "secrets"}, secrets)
    for part in (filled.get("headers"), filled.get("env"), {"api_key": filled.get("api_key")}):
        for value in part.values() if isinstance(part, dict) else ():
            secrets.update([value, *value.split()] if isinstance(value, str) else [])
    long = frozenset(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)
    return model.model_validate({**filled, "name": name, "secrets": long})


def _filled(value: Any, secrets: set[str]) -> Any:
    """The value with variables of the environment in their places, which are noted down as secrets."""

    def variable(name: str) -> str:
        try:
            secrets.add(os.environ[name])
            return os.environ[name]
        except KeyError:
            raise ValueError(f"the environment has no variable {name}") from None

    if isinstance(value, dict):
        if set(value) == {"$secret"} and isinstance(value["$secret"], str):
            return variable(value["$secret"])
        return {key: _filled(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, secrets) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: variable(match[1]), value)
    return value
