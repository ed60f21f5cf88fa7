"""agent_zero: a message to an Agent Zero instance, in a chat of its own."""

from __future__ import annotations

import asyncio
import importlib

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
    def _there_is_one(self):
        if (self.base64 is None) == (self.url is None):
            raise ValueError("give either base64 or url")
        return self


class AgentZeroParameters(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    message: str = Field(min_length=1, description="What the agent is told.", examples=["Summarise today's news."])
    agent: str = Field(
        "", validate_default=True, description="Which instance; may be left out where there is only one."
    )
    attachments: list[Attachment] = Field(default=[], max_length=50, description="Files for the agent.")
    project_name: str | None = Field(
        None, validation_alias=AliasChoices("project_name", "project"), description="The project to work in."
    )
    agent_profile: str | None = Field(None, description="The profile that the agent takes on.")
    lifetime_hours: float = Field(24, gt=0, le=8760, description="Hours that Agent Zero keeps the chat.")

    @field_validator("agent")
    @classmethod
    def _agent_exists(cls, agent: str) -> str:
        if configuration.current().instances:  # where there are none, that is the reason to tell
            _instance(agent)
        return agent


def _instance(name: str) -> configuration.AgentZero:
    """Raises ValueError, naming what exists."""
    known = configuration.current()
    if name in known.instances:
        return known.instances[name]
    if name in known.problems:
        raise ValueError(f"{name!r} is configured wrongly: {known.problems[name]}")
    if not name and len(known.instances) == 1:
        return next(iter(known.instances.values()))
    told = ", ".join(known.instances) or "none"
    raise ValueError(f"there is no Agent Zero instance {name!r}" if name else f"say which instance: {told}")


def _unavailable() -> str:
    known = configuration.current()
    if known.instances:
        return ""
    problems = " ".join(f"{name or 'The agent tools'}: {problem}" for name, problem in known.problems.items())
    return f"No Agent Zero instance is configured (BATCH_AGENT_TOOLS, docs/agents.md). {problems}".strip()


@task_function("agent_zero", example={"message": "Summarise today's news in five lines."}, unavailable=_unavailable)
async def agent_zero(params: AgentZeroParameters, context: TaskContext) -> dict:
    """Give a message to an Agent Zero instance, in a chat of its own, and keep the agent's answer.

    The result has response, context_id (the chat) and agent. What the agent does can be watched in the task's log. A
    cancel stops the agent. A message whose answer was lost is never sent again by itself.
    """
    zero = await asyncio.to_thread(importlib.import_module, "executor.agents.agent_zero")
    given = params.model_dump(mode="json", exclude_none=True)
    about = {name: given[name] for name in ("lifetime_hours", "project_name", "agent_profile") if name in given}
    message = zero.Message(given["message"], given["attachments"], about)
    try:
        instance = _instance(params.agent)
    except ValueError as error:  # it was there when the task was added
        raise ToolFailed(f"{error}.", retryable=False) from None
    mark = zero.Mark(context.artifact("agent-zero.json"))
    return await zero.ask(instance, message, mark, zero.Watcher(context.log, context.progress))
