"""The configured MCP servers and Agent Zero instances.

Sources are the setting AGENT_TOOLS and the JSON file of BATCH_AGENT_TOOLS, in the format that agents use:

    {"mcpServers": {"files": {"command": "npx", "args": [...], "env": {...}},
                    "search": {"type": "streamable-http", "url": "https://…/mcp", "headers": {...}}},
     "agentZero": {"home": {"url": "http://…", "api_key": {"$secret": "HOME_KEY"}}}}

`${NAME}` inside a text, or `{"$secret": "NAME"}` in place of one, stands for a variable of the environment. An invalid
entry becomes a problem under its own name; the others work.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .self_address import resolves_to_self

logger = logging.getLogger(__name__)

_VARIABLE = re.compile(r"\$\{(\w+)\}")
HIDDEN = "•••"
MIN_SECRET_LENGTH = 6  # characters; hiding every "1" would make texts unreadable


class _Entry(BaseModel):
    """Common part of both kinds. Unknown keys are ignored: other programs share the file."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")
    url: str = Field("", repr=False)
    verify: bool = True
    secrets: frozenset[str] = Field(frozenset(), repr=False)

    @field_validator("url")
    @classmethod
    def _validate_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("url must begin with http:// or https://")
        if parts.hostname and resolves_to_self(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)):
            raise ValueError("url is this site itself (BATCH_PORT, BATCH_HOSTS), which must not call itself")
        return url

    @property
    def where(self) -> str:
        """Address for messages, without the path, which may contain a password."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")

    def hide(self, text: str) -> str:
        """Return the text without the secrets of this entry."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


class McpServer(_Entry):
    """An MCP server, reached over HTTP or started as a program."""

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
    def _normalise_type(cls, entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        entry = {**entry, "url": entry.get("url") or entry.get("serverUrl") or ""}
        kind = str(entry.get("type") or ("stdio" if entry.get("command") else "http")).lower()
        if kind in ("http", "http-stream", "http-streaming", "streaming-http", "streamable-http", "streamable_http"):
            kind = "streamable-http"
        elif kind == "sse":
            raise ValueError("the old transport sse is not supported; most servers offer streamable-http as well")
        return {**entry, "type": kind}

    @model_validator(mode="after")
    def _require_command_or_url(self) -> Self:
        if self.type == "stdio" and not self.command:
            raise ValueError("command is missing: the program to start")
        if self.type != "stdio" and not self.url:
            raise ValueError("url is missing, or command")
        return self

    @property
    def where(self) -> str:
        """Address or command for messages."""
        return self.command if self.type == "stdio" else super().where


class AgentZero(_Entry):
    """An Agent Zero instance and its external API."""

    url: str = Field(min_length=1, repr=False)
    api_key: str = Field(min_length=1, repr=False)
    path: str = Field("/api", pattern=r"^(/[\w.-]+)*$")
    open_chat: bool = True


@dataclass(frozen=True)
class Configuration:
    """Servers and instances by name. `problems`: name → why it cannot be used; "" stands for the whole file."""

    servers: dict[str, McpServer] = field(default_factory=dict)
    instances: dict[str, AgentZero] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


_lock = threading.Lock()
_cached: tuple[Any, Configuration] | None = None


def current() -> Configuration:
    """Return the current configuration; the file is read again after a change."""
    global _cached
    path = getattr(settings, "BATCH_AGENT_TOOLS", "")
    source = getattr(settings, "AGENT_TOOLS", None) or {}
    if not path and not source:
        return _EMPTY
    state = (path, _state_of(path), repr(source))
    with _lock:
        if _cached is None or _cached[0] != state:
            _cached = (state, read(source, path))
            for name, problem in _cached[1].problems.items():
                logger.warning("agent tools%s: %s", f", {name!r}" if name else "", problem)
        return _cached[1]


_EMPTY = Configuration()


def _state_of(path: str) -> tuple | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read(source: Any, path: str = "") -> Configuration:
    """Return the configuration of a setting and a file, with their errors as problems."""
    found = Configuration()
    _load(source, found)
    if path:
        try:
            _load(json.loads(Path(path).read_text()), found)
        except (OSError, UnicodeDecodeError) as error:
            found.problems[""] = f"the file of BATCH_AGENT_TOOLS cannot be read ({type(error).__name__})."
        except json.JSONDecodeError as error:
            # The text itself is not quoted: it may contain keys.
            found.problems[""] = f"the file of BATCH_AGENT_TOOLS is not JSON: line {error.lineno}, {error.msg}."
    return found


def _load(source: Any, found: Configuration) -> None:
    for kind, model, target in (
        ("mcpServers", McpServer, found.servers),
        ("agentZero", AgentZero, found.instances),
    ):
        entries = source.get(kind, {}) if isinstance(source, dict) else None
        if not isinstance(entries, dict):
            found.problems[""] = 'it must be an object like {"mcpServers": {name: {…}}, "agentZero": {name: {…}}}.'
            continue
        for name, entry in entries.items():
            if isinstance(entry, dict) and entry.get("disabled"):
                continue
            found.problems.pop(name, None)
            target.pop(name, None)
            try:
                if name in found.servers or name in found.instances:
                    raise ValueError("the name is used twice")
                target[name] = _entry(model, name, entry)
            except ValidationError as error:
                found.problems[name] = (
                    "; ".join(_describe(problem) for problem in error.errors(include_url=False)) + "."
                )
            except ValueError as error:
                found.problems[name] = f"{error}."


def _describe(problem: Mapping[str, Any]) -> str:
    """Return the place and reason of an error, without the value: it may be a key."""
    place = ".".join(map(str, problem["loc"]))
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {reason}" if place else reason


def _entry(model: type[_Entry], name: str, entry: Any) -> Any:
    if not isinstance(entry, dict):
        raise ValueError("must be an object")
    secrets: set[str] = set()
    values = _substituted({key: value for key, value in entry.items() if key != "secrets"}, secrets)
    for part in (values.get("headers"), values.get("env"), {"api_key": values.get("api_key")}):
        for value in part.values() if isinstance(part, dict) else ():
            secrets.update([value, *value.split()] if isinstance(value, str) else [])
    hidden = frozenset(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)
    return model.model_validate({**values, "name": name, "secrets": hidden})


def _substituted(value: Any, secrets: set[str]) -> Any:
    """Return the value with variables of the environment substituted, and add these to `secrets`."""

    def variable(name: str) -> str:
        try:
            secrets.add(os.environ[name])
            return os.environ[name]
        except KeyError:
            raise ValueError(f"the environment has no variable {name}") from None

    if isinstance(value, dict):
        if set(value) == {"$secret"} and isinstance(value["$secret"], str):
            return variable(value["$secret"])
        return {key: _substituted(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_substituted(item, secrets) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: variable(match[1]), value)
    return value
