"""results: the tasks of a batch with their results, page by page."""

from typing import Any

import orjson
from pydantic import Field

from executor.domain.errors import BadRequest
from executor.domain.parameter_types import BatchName, Ids, Numbers, StatusFilter, Whole
from executor.domain.states import TaskStatus
from executor.domain.wording import counted
from executor.reads.columns import RESULT_COLUMNS
from executor.reads.lookups import tasks_by_custom_ids, tasks_by_numbers, uuid_of
from executor.reads.results import list_results

from .call import Call, Parameters, Response
from .registry import action


class ResultsParameters(Parameters):
    """The tasks, the page, and the fields of the answer."""

    batch: BatchName
    status: StatusFilter
    custom_ids: Ids | None = Field(None, description="Only these tasks.")
    numbers: Numbers | None = Field(None, description="Only the tasks of these numbers.")
    task_ids: Ids | None = Field(None, description="Only these tasks.")
    cursor: str | int | None = Field(None, description="The `next_cursor` of the page before.")
    limit: Whole = Field(100, ge=1, le=10_000, description="Tasks of one page.")
    fields: Ids | None = Field(None, description="Only these fields of each task.")
    max_chars: Whole | None = Field(
        None, ge=0, description="Shorten a result whose JSON is longer; `result_truncated` is its length."
    )


@action("read", {"status": TaskStatus.FAILED, "limit": 20}, atomic=False)
def results(call: Call, parameters: ResultsParameters) -> Response:
    """Return the tasks of a batch with their results, in the order they were added; also while it runs."""
    row = call.batch(parameters.batch)
    unknown = [name for name in parameters.fields or () if name not in RESULT_COLUMNS]
    if unknown:
        raise BadRequest(f"Unknown fields: {', '.join(unknown)}.", fix=f"Fields: {', '.join(RESULT_COLUMNS)}.")
    wanted = None
    if any(ids is not None for ids in (parameters.task_ids, parameters.custom_ids, parameters.numbers)):
        wanted = [uuid_of(text, "task") for text in parameters.task_ids or ()]
        wanted += tasks_by_custom_ids(row, parameters.custom_ids or ())
        wanted += tasks_by_numbers(row, parameters.numbers or ())
    cursor = None if parameters.cursor is None else str(parameters.cursor)
    page = list_results(row.batch_id, parameters.status, wanted, cursor, parameters.limit)
    items = [_cut(item, parameters) for item in page.items]
    data: dict[str, Any] = {"batch_id": str(row.batch_id), "results": items, "next_cursor": page.next_cursor}
    more = f'; continue with cursor "{page.next_cursor}"' if page.next_cursor else ""
    return Response(True, f"{counted(len(items), 'task')}{more}.", data)


def _cut(item: dict, parameters: ResultsParameters) -> dict:
    if parameters.max_chars is not None and item["result"] is not None:
        text = orjson.dumps(item["result"]).decode()
        if len(text) > parameters.max_chars:
            item["result"] = text[: parameters.max_chars]
            item["result_truncated"] = len(text)
    if parameters.fields:
        item = {name: value for name, value in item.items() if name in parameters.fields or name == "result_truncated"}
    return item
