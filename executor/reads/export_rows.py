"""Every task of a batch with its result, for exports: the rows that `reads.results` gives, as they are told to others.

The database spells ids, times and names itself, and JSON stays the text that it is there. Making objects of a million
rows, only to write them down again, takes three times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.db import connection

from executor.db.dialect import hex_of, marks
from executor.db.statements import is_postgresql

from .presenters import PRIORITY_NAME, RESULT_COLUMNS

# Columns whose values are JSON text, or None.
JSON_COLUMNS = ("result", "progress")

_PRIORITIES = " ".join(f"WHEN {priority} THEN '{label}'" for priority, label in PRIORITY_NAME.items())
_ID_PARTS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
_SPELLED = {
    "priority": f"CASE priority {_PRIORITIES} END",
    **{name: f"NULLIF({name}, '')" for name in ("error", "error_kind", "worker")},
}
_TIMES = ("created_at", "started_at", "completed_at", "run_after")
# A whole second is told without its fraction, as everywhere.
_ON_POSTGRESQL = {
    **_SPELLED,
    "task_id": "task_id::text",
    **{
        name: f"replace(to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '.000000', '') || 'Z'"
        for name in _TIMES
    },
    "execution_time": "round(execution_time::numeric, 6)::float8",
}
_ON_SQLITE = {
    **_SPELLED,
    "task_id": " || '-' || ".join(f"substr(task_id, {at}, {length})" for at, length in _ID_PARTS),
    **{name: f"replace({name}, ' ', 'T') || 'Z'" for name in _TIMES},
    "execution_time": "round(execution_time, 6)",
}


def results(batch_id, statuses: Sequence[str] = (), chunk: int = 1000) -> Iterator[list[tuple]]:
    """All tasks of a batch by number, so many at a time: RESULT_COLUMNS of each. `statuses` must be known ones."""
    # The batch's own id is the same in every row: it is not spelled a million times.
    spelled = {**(_ON_POSTGRESQL if is_postgresql() else _ON_SQLITE), "batch_id": f"'{UUID(hex_of(batch_id))}'"}
    columns = ", ".join(spelled.get(name, name) for name in RESULT_COLUMNS)
    status = f"AND status IN ({marks(statuses)})" if statuses else ""
    statement = f"""
        SELECT {columns} FROM executor_batchtask
        WHERE batch_id = %s AND number > %s {status} ORDER BY number LIMIT %s
    """
    number = RESULT_COLUMNS.index("number")
    after = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, [hex_of(batch_id), after, *statuses, chunk])
            rows = cursor.fetchall()
        if rows:
            yield rows
        if len(rows) < chunk:
            return
        after = rows[-1][number]
