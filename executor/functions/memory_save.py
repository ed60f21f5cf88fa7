"""memory_save: store a text."""

from typing import Annotated, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from executor.domain.parameter_types import Text
from executor.knowledge.embedder import unavailable_reason

from .context import TaskContext
from .in_thread import in_thread
from .knowledge_types import MAX_TEXT_LENGTH, Area
from .registry import task_function

MAX_METADATA = 64 * 1024  # bytes as JSON
RESERVED = ("id", "timestamp", "owner")


class MemorySaveParameters(BaseModel):
    model_config = ConfigDict(extra="allow")

    text: Text = Field(min_length=1, max_length=MAX_TEXT_LENGTH, description="What to remember.")
    area: Annotated[Area, BeforeValidator(lambda area: area or "main")] = Field(
        "main", description="Where it belongs: main, fragments, solutions, or any other word."
    )
    metadata: dict = Field(default_factory=dict, description="Values for filters. Other parameters are added to them.")

    @model_validator(mode="after")
    def _validate_facts(self) -> Self:
        if not self.text.strip():
            raise ValueError("the text is empty")
        if reserved := sorted(set(RESERVED) & set(self.facts)):
            raise ValueError(f"{reserved[0]!r} cannot be set: it is generated for every memory")
        if len(orjson.dumps(self.facts)) > MAX_METADATA:
            raise ValueError(f"the metadata has more than {MAX_METADATA} bytes")
        return self

    @property
    def facts(self) -> dict:
        """Metadata, with the additional parameters."""
        return {**self.metadata, **(self.model_extra or {})}


@task_function(
    "memory_save",
    example={"text": "The customer prefers invoices as PDF.", "area": "main", "customer": "ACME"},
    personal=True,
    unavailable=unavailable_reason,
)
async def memory_save(params: MemorySaveParameters, context: TaskContext) -> dict:
    """Remember a text. Only the owner of the batch, the same user or token, can load it again.

    The result has the memory's `id`. A task that is retried saves once. Parameters besides text and area become the
    memory's metadata.
    """
    return await in_thread(_save, params, context)


def _save(params: MemorySaveParameters, context: TaskContext) -> dict:
    from executor.knowledge import memory  # deferred: loads numpy

    saved = memory.save(context.owner, params.text, params.area, params.facts, context.idempotency_key)
    return {"id": saved.memory_id, "message": f"Memory saved with id {saved.memory_id}"}
