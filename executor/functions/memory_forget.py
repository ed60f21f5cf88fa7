"""memory_forget: delete memories about something."""

from pydantic import BaseModel, ConfigDict, Field

from executor.knowledge.embedder import unavailable_reason

from .context import TaskContext
from .in_thread import in_thread
from .knowledge_types import FilterText, Query, Threshold, filter_of
from .registry import task_function


class MemoryForgetParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    query: Query = Field(description="What to forget.", examples=["invoices of the customer ACME"])
    threshold: Threshold = Field(
        0.7, description="The minimum score of a memory to forget, 0 to 1. 0 forgets all that match the filter."
    )
    filter: FilterText = Field(
        "", description="A condition over area, timestamp, id and metadata, like `area == 'fragments'`."
    )


@task_function(
    "memory_forget",
    example={"query": "invoices of the customer ACME", "threshold": 0.75, "filter": "area == 'main'"},
    personal=True,
    unavailable=unavailable_reason,
)
async def memory_forget(params: MemoryForgetParameters, context: TaskContext) -> dict:
    """Forget all of your memories whose score for a query is at least the threshold. This cannot be undone.

    The result has `memories_deleted`, their number, and their `ids`.
    """
    return await in_thread(_forget, params, context.owner)


def _forget(params: MemoryForgetParameters, owner: str) -> dict:
    from executor.knowledge import memory  # deferred: loads numpy

    ids = memory.forget(owner, params.query, threshold=params.threshold, filter=filter_of(params.filter))
    return {"memories_deleted": len(ids), "ids": ids}
