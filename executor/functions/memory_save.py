"""memory_save: remember a text."""

from typing import Annotated

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from executor.domain.parameter_types import Text
from executor.knowledge.embedder import missing

from .context import TaskContext
from .in_thread import in_thread
from .knowledge_types import LONGEST_TEXT, Area
from .registry import task_function

MOST_METADATA = 64 * 1024
OURS = ("id", "timestamp", "owner")


class MemorySaveParameters(BaseModel):
    model_config = ConfigDict(extra="allow")

    text: Text = Field(min_length=1, max_length=LONGEST_TEXT, description="What to remember.")
    area: Annotated[Area, BeforeValidator(lambda area: area or "main")] = Field(
        "main", description="Where it belongs: main, fragments, solutions, or any other word."
    )
    metadata: dict = Field(
        default_factory=dict, description="Facts for filters. Any other parameter is such a fact, too."
    )

    @model_validator(mode="after")
    def _facts(self):
        if not self.text.strip():
            raise ValueError("the text is empty")
        if ours := sorted(set(OURS) & set(self.facts)):
            raise ValueError(f"{ours[0]!r} cannot be set: every memory has its own")
        if len(orjson.dumps(self.facts)) > MOST_METADATA:
            raise ValueError(f"the metadata have more than {MOST_METADATA} bytes")
        return self

    @property
    def facts(self) -> dict:
        return {**self.metadata, **(self.model_extra or {})}


@task_function(
    "memory_save",
    example={"text": "The customer prefers invoices as PDF.", "area": "main", "customer": "ACME"},
    personal=True,
    unavailable=missing,
)
async def memory_save(params: MemorySaveParameters, context: TaskContext) -> dict:
    """Remember a text. Only the owner of the batch, the same user or token, can ever load it again.

    The result has the memory's `id`. A task that is tried again saves once. Parameters besides text and area become the
    memory's metadata.
    """
    return await in_thread(_save, params, context)


def _save(params: MemorySaveParameters, context: TaskContext) -> dict:
    from executor.knowledge import memory  # loads numpy: only where it is needed

    saved = memory.save(context.owner, params.text, params.area, params.facts, context.idempotency_key)
    return {"id": saved.memory_id, "message": f"Memory saved with id {saved.memory_id}"}
