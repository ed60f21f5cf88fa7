"""Rows of exports: every task of a batch with its result, as `presenters.present_task` shows it.

The database formats ids, times and names itself, and JSON stays text: to build objects of a million rows, only to
serialize them again, takes three times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import connection

from executor.db.dialect import placeholders, to_db_id
from executor.db.statements import is_postgresql

from .columns import EMPTY_IS_NONE, RESULT_COLUMNS, TIME_COLUMNS
from .presenters import PRIORITY_LABEL

_PRIORITIES = " ".join(f"WHEN {priority} THEN '{label}'" for priority, label in PRIORITY_LABEL.items())
_ID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
_EXPRESSIONS = {
    "priority": f"CASE priority {_PRIORITIES} END",
    **{name: f"NULLIF({name}, '')" for name in EMPTY_IS_NONE},
}
_TIMES = tuple(name for name in RESULT_COLUMNS if name in TIME_COLUMNS)
# A whole second has no fraction, as in Python.
_ON_POSTGRESQL = {
    **_EXPRESSIONS,
    "task_id": "task_id::text",
    **{
        name: f"replace(to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '.000000', '') || 'Z'"
        for name in _TIMES
    },
    "execution_time": "round(execution_time::numeric, 6)::float8",
}
_ON_SQLITE = {
    **_EXPRESSIONS,
    "task_id": " || '-' || ".join(f"substr(task_id, {at}, {length})" for at, length in _ID_PARTS),
    **{name: f"replace({name}, ' ', 'T') || 'Z'" for name in _TIMES},
    "execution_time": "round(execution_time, 6)",
}


def export_rows(batch_id: UUID, statuses: Sequence[str] = (), chunk: int = 1000) -> Iterator[list[tuple]]:
    """Yield all tasks of a batch by number, `chunk` at a time: RESULT_COLUMNS of each. `statuses` must be known."""
    # The same in every row: a literal instead of a million conversions.
    expressions = {**(_ON_POSTGRESQL if is_postgresql() else _ON_SQLITE), "batch_id": f"'{batch_id}'"}
    columns = ", ".join(expressions.get(name, name) for name in RESULT_COLUMNS)
    status = f"AND status IN ({placeholders(statuses)})" if statuses else ""
    statement = f"""
        SELECT {columns} FROM executor_batchtask
        WHERE batch_id = %s AND number > %s {status} ORDER BY number LIMIT %s
    """
    number = RESULT_COLUMNS.index("number")
    after = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, [to_db_id(batch_id), after, *statuses, chunk])
            rows = cursor.fetchall()
        if rows:
            yield rows
        if len(rows) < chunk:
            return
        after = rows[-1][number]
