"""The columns of a task in answers and exports. They include every field of a task (executor.domain.task_item)."""

from __future__ import annotations

from executor.domain.task_item import COLUMN_OF

# Lists omit the fields of a task that may be large or are relevant on its own page only.
_DETAIL_FIELDS = ("params", "retry_delay", "timeout")
_RESULT_FIELDS = (
    *("task_id", "batch_id", "number", "custom_id", "name", "function", "priority", "status", "result", "error"),
    *("error_kind", "retry_count", "max_retries", "attempt", "created_at", "started_at", "completed_at"),
    *("execution_time", "worker", "run_after", "progress"),
)

# The columns of results and exports, in order: a new field of a task stands at the end.
RESULT_COLUMNS = (
    *_RESULT_FIELDS,
    *(column for column in COLUMN_OF.values() if column not in _RESULT_FIELDS and column not in _DETAIL_FIELDS),
)
# The additional columns in the response for a single task.
DETAIL_COLUMNS = (*_DETAIL_FIELDS, "dispatched_at", "cancel_requested_at")

TIME_COLUMNS = ("created_at", "started_at", "completed_at", "run_after", "dispatched_at", "cancel_requested_at")
JSON_COLUMNS = ("result", "progress")  # values are JSON text in the database
EMPTY_IS_NONE = ("error", "error_kind", "worker")  # an empty text is shown as none
# Columns of a list whose text comes from callers and their programs.
FOREIGN_TEXT = tuple(
    name
    for name in RESULT_COLUMNS
    if name in (*COLUMN_OF.values(), *EMPTY_IS_NONE) and name not in ("priority", "max_retries", *TIME_COLUMNS)
)
