"""export: all results of a batch as one file, written while it is sent."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import orjson

from executor.domain.parameter_types import BatchName, StatusFilter
from executor.domain.wording import counted
from executor.reads.columns import FOREIGN_TEXT, JSON_COLUMNS, RESULT_COLUMNS
from executor.reads.export_rows import export_rows
from executor.reads.task_filter import TaskFilter
from executor.reads.tasks import list_tasks

from .call import Call, Parameters, Response
from .registry import action

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
# Spreadsheets run a cell that begins like this as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # fmt: skip
ROWS_PER_PIECE = 1000
_FOREIGN = [RESULT_COLUMNS.index(name) for name in FOREIGN_TEXT]
_JSON = [RESULT_COLUMNS.index(name) for name in JSON_COLUMNS]


class ExportParameters(Parameters):
    """The tasks, and the format of the file."""

    batch: BatchName
    format: Literal["json", "csv", "jsonl"] = "json"
    status: StatusFilter


@action("read", {"format": "csv"}, atomic=False)
def export(call: Call, parameters: ExportParameters) -> Response:
    """Return all tasks of a batch with their results as JSON (a list), JSON Lines or CSV."""
    row = call.batch(parameters.batch)
    count = list_tasks(row.batch_id, TaskFilter(status=parameters.status), limit=1).matching
    statuses = [status.lower() for status in parameters.status]
    rows = export_rows(row.batch_id, statuses, ROWS_PER_PIECE)
    write = {"json": _json, "csv": _csv, "jsonl": _jsonl}[parameters.format]
    url = f"/api/batches/{row.batch_id}/export?format={parameters.format}"
    if parameters.status:
        url += f"&status={','.join(parameters.status)}"
    return Response(
        True,
        f"{counted(count or 0, 'task')} as {parameters.format}.",
        {"batch_id": str(row.batch_id), "format": parameters.format, "count": count, "url": url},
        stream=write(rows),
        content_type=CONTENT_TYPES[parameters.format],
        filename=f"batch-{row.batch_id}.{parameters.format}",
    )


def _jsonl(chunks: Iterator[list[tuple]]) -> Iterator[bytes]:
    for rows in chunks:
        yield b"".join(_object(row) + b"\n" for row in rows)


def _json(chunks: Iterator[list[tuple]]) -> Iterator[bytes]:
    opening = b"[\n"
    for rows in chunks:
        yield opening + b",\n".join(map(_object, rows))
        opening = b",\n"
    yield b"\n]\n" if opening != b"[\n" else b"[]\n"


def _object(row: tuple) -> bytes:
    task = dict(zip(RESULT_COLUMNS, row, strict=True))
    for name in JSON_COLUMNS:
        if task[name] is not None:
            task[name] = orjson.Fragment(task[name])
    return orjson.dumps(task)


def _csv(chunks: Iterator[list[tuple]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(RESULT_COLUMNS)
    for rows in chunks:
        columns: list[Sequence] = list(zip(*rows, strict=True))
        for place in _FOREIGN:
            columns[place] = _each_once(cell, columns[place])
        for place in _JSON:
            columns[place] = _each_once(json_cell, columns[place])
        writer.writerows(zip(*columns, strict=True))
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def _each_once(spell: Callable[[str], str], texts: Sequence[str | None]) -> list[str | None]:
    """Format a column of texts, most of which repeat; None stays, as an empty cell."""
    spelled = {text: spell(text) for text in set(texts) if text}
    return [spelled[text] if text else text for text in texts]


def cell(text: str) -> str:
    """Return a text as a CSV cell, with a quote before text that a spreadsheet would evaluate as a formula."""
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text


def json_cell(text: str) -> str:
    """Return a JSON value as a CSV cell: a string as its text, nothing for null, all else as JSON."""
    if text == "null":
        return ""
    return cell(orjson.loads(text)) if text.startswith('"') else text
