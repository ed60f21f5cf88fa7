"""memory_delete: delete memories by their ids."""

from pydantic import BaseModel, ConfigDict, Field

from executor.domain.parameter_types import Ids

from .context import TaskContext
from .in_thread import in_thread
from .registry import task_function


class MemoryDeleteParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ids: Ids = Field(
        min_length=1,
        max_length=1000,
        description="Ids from memory_save or memory_load: a list, or text with commas.",
        examples=["3mXq81ZpTd,9aWb02LkRs"],
    )


@task_function("memory_delete", example={"ids": "3mXq81ZpTd,9aWb02LkRs"}, personal=True)
async def memory_delete(params: MemoryDeleteParameters, context: TaskContext) -> dict:
    """Forget memories by their ids. Unknown ids, and those of other owners, are ignored.

    The result has `memories_deleted`, the number of memories.
    """
    return await in_thread(_delete, params.ids, context.owner)


def _delete(ids: list[str], owner: str) -> dict:
    from executor.knowledge import memory  # deferred: loads numpy

    return {"memories_deleted": memory.delete(owner, ids)}
