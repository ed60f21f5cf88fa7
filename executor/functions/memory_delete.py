"""memory_delete: forget memories by their ids."""

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
        description="The ids that memory_save and memory_load gave: a list, or text with commas.",
        examples=["3mXq81ZpTd,9aWb02LkRs"],
    )


@task_function("memory_delete", example={"ids": "3mXq81ZpTd,9aWb02LkRs"}, personal=True)
async def memory_delete(params: MemoryDeleteParameters, context: TaskContext) -> dict:
    """Forget memories by their ids. Ids that are not yours, or not there any more, are passed over.

    The result has `memories_deleted`, how many there were.
    """
    return await in_thread(_delete, params.ids, context.owner)


def _delete(ids: list[str], owner: str) -> dict:
    from executor.knowledge import memory  # loads numpy: only where it is needed

    return {"memories_deleted": memory.delete(owner, ids)}
