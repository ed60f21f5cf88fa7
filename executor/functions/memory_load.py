"""memory_load: find what was remembered."""

from pydantic import BaseModel, ConfigDict, Field

from executor.knowledge.embedder import missing

from .context import TaskContext
from .in_thread import in_thread
from .knowledge_types import Area, FilterText, Query, Threshold, filter_of
from .registry import task_function


class MemoryLoadParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: Query = Field(description="What to look for.", examples=["How does the customer want invoices?"])
    threshold: Threshold = Field(0.7, description="The least score, 0 to 1; 0.5 is unrelated, 1 the same words.")
    limit: int = Field(10, ge=1, le=1000, description="The most memories.")
    filter: FilterText = Field(
        "",
        description="A condition over area, timestamp, id and metadata, like `area == 'main' and customer == 'ACME'`.",
    )
    area: Area = Field("", description="Only memories of this area; empty: all.")


@task_function(
    "memory_load",
    example={"query": "How does the customer want invoices?", "threshold": 0.6},
    personal=True,
    unavailable=missing,
)
async def memory_load(params: MemoryLoadParameters, context: TaskContext) -> dict:
    """Find what was remembered about something, the nearest first.

    The result has `memories`, each with id, text, score, area, timestamp and metadata; a score is (1 + cosine) / 2, so
    that 0.7 means what it does in Agent Zero. `message` has them as text, in Agent Zero's form.
    """
    return await in_thread(_load, params, context.owner)


def _load(params: MemoryLoadParameters, owner: str) -> dict:
    from executor.knowledge import memory  # loads numpy: only where it is needed

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
    message = "\n\n".join(map(_told, memories)) if memories else none
    return {"count": len(memories), "memories": memories, "message": message}


def _told(one: dict) -> str:
    facts = {**one["metadata"], "id": one["id"], "timestamp": one["timestamp"], "area": one["area"]}
    return "\n".join([*(f"{name}: {value}" for name, value in facts.items()), f"Content: {one['text']}"])
