"""memory_load: find memories."""

from pydantic import BaseModel, ConfigDict, Field

from executor.knowledge.embedder import unavailable_reason

from .context import TaskContext
from .in_thread import in_thread
from .knowledge_types import Area, FilterText, Query, Threshold, filter_of
from .registry import task_function


class MemoryLoadParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: Query = Field(description="What to look for.", examples=["How does the customer want invoices?"])
    threshold: Threshold = Field(0.7, description="The minimum score, 0 to 1; 0.5 is unrelated, 1 the same words.")
    limit: int = Field(10, ge=1, le=1000, description="The maximum number of memories.")
    filter: FilterText = Field(
        "",
        description="A condition over area, timestamp, id and metadata, like `area == 'main' and customer == 'ACME'`.",
    )
    area: Area = Field("", description="Only memories of this area; empty: all.")


@task_function(
    "memory_load",
    example={"query": "How does the customer want invoices?", "threshold": 0.6},
    personal=True,
    unavailable=unavailable_reason,
)
async def memory_load(params: MemoryLoadParameters, context: TaskContext) -> dict:
    """Find memories about something, the nearest first.

    The result has `memories`, each with id, text, score, area, timestamp and metadata; a score is (1 + cosine) / 2, as
    in Agent Zero. `message` has them as text, in Agent Zero's format.
    """
    return await in_thread(_load, params, context.owner)


def _load(params: MemoryLoadParameters, owner: str) -> dict:
    from executor.knowledge import memory  # deferred: loads numpy

    found = memory.load(
        owner,
        params.query,
        threshold=params.threshold,
        limit=params.limit,
        filter=filter_of(params.filter),
        area=params.area,
    )
    memories = [each.as_dict() for each in found]
    none = f"No memories found for specified query: {params.query}"
    message = "\n\n".join(map(_as_text, memories)) if memories else none
    return {"count": len(memories), "memories": memories, "message": message}


def _as_text(memory: dict) -> str:
    facts = {**memory["metadata"], "id": memory["id"], "timestamp": memory["timestamp"], "area": memory["area"]}
    return "\n".join([*(f"{name}: {value}" for name, value in facts.items()), f"Content: {memory['text']}"])
