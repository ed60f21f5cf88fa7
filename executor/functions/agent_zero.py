"""agent_zero: a message to an Agent Zero instance, in a new chat."""

from __future__ import annotations

import asyncio
import importlib
from typing import Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, field_validator, model_validator

from executor.agents import configuration
from executor.domain.errors import ToolFailed
from executor.domain.parameter_types import Base64

from .context import TaskContext
from .registry import task_function


class Attachment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filename: str = Field(min_length=1, max_length=200, pattern=r"^[^/\\\x00]+$", description="Its name for the agent.")
    base64: Base64 | None = Field(None, description="Its bytes in Base64.")
    url: str | None = Field(None, pattern="^https?://", description="Or where it is, on the open Internet.")

    @model_validator(mode="after")
    def _require_one_source(self) -> Self:
        if (self.base64 is None) == (self.url is None):
            raise ValueError("give either base64 or url")
        return self


class AgentZeroParameters(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    message: str = Field(min_length=1, description="The message for the agent.", examples=["Summarise today's news."])
    agent: str = Field("", validate_default=True, description="The instance; optional if only one is configured.")
    attachments: list[Attachment] = Field(default=[], max_length=50, description="Files for the agent.")
    project_name: str | None = Field(
        None, validation_alias=AliasChoices("project_name", "project"), description="The project to work in."
    )
    agent_profile: str | None = Field(None, description="The agent's profile.")
    lifetime_hours: float = Field(24, gt=0, le=8760, description="Hours that Agent Zero keeps the chat.")

    @field_validator("agent")
    @classmethod
    def _validate_agent(cls, agent: str) -> str:
        if configuration.current().instances:  # without any, `unavailable` gives the reason
            _instance(agent)
        return agent


def _instance(name: str) -> configuration.AgentZero:
    """Return the instance of that name. Raises ValueError, naming the instances."""
    known = configuration.current()
    if name in known.instances:
        return known.instances[name]
    if name in known.problems:
        raise ValueError(f"{name!r} is configured wrongly: {known.problems[name]}")
    if not name and len(known.instances) == 1:
        return next(iter(known.instances.values()))
    if name:
        raise ValueError(f"there is no Agent Zero instance {name!r}")
    raise ValueError(f"choose an instance: {', '.join(known.instances) or 'none'}")


def _unavailable() -> str:
    known = configuration.current()
    if known.instances:
        return ""
    problems = " ".join(f"{name or 'The agent tools'}: {problem}" for name, problem in known.problems.items())
    return f"No Agent Zero instance is configured (BATCH_AGENT_TOOLS, docs/agents.md). {problems}".strip()


@task_function("agent_zero", example={"message": "Summarise today's news in five lines."}, unavailable=_unavailable)
async def agent_zero(params: AgentZeroParameters, context: TaskContext) -> dict:
    """Send a message to an Agent Zero instance, in a new chat, and keep the agent's answer.

    The result has response, context_id (the chat) and agent. The agent's steps can be watched in the task's log. A
    cancel stops the agent. A message whose answer was lost is never sent again automatically.
    """
    zero = await asyncio.to_thread(importlib.import_module, "executor.agents.agent_zero")
    values = params.model_dump(mode="json", exclude_none=True)
    settings = {name: values[name] for name in ("lifetime_hours", "project_name", "agent_profile") if name in values}
    message = zero.Message(values["message"], values["attachments"], settings)
    try:
        instance = _instance(params.agent)
    except ValueError as error:  # it existed when the task was added
        raise ToolFailed(f"{error}.", retryable=False) from None
    marker = zero.DeliveryMarker(context.artifact("agent-zero.json"))
    return await zero.ask(instance, message, marker, zero.Callbacks(context.log, context.progress))
