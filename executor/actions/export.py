"""export: all results of a batch as one file, made while it is sent."""

import csv
import io
from collections.abc import Iterator
from typing import Literal

import orjson

from executor import reads
from executor.parameters import BatchName, StatusFilter
from executor.presenters import RESULT_COLUMNS
from executor.selection import TaskFilter
from executor.wording import counted

from .base import Call, Parameters, Response, action

CONTENT_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
# A cell that begins like this is run as a formula by spreadsheets.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # fmt: skip
LINES = 1000  # of one piece


class ExportParameters(Parameters):
    batch: BatchName
    format: Literal["json", "csv", "jsonl"] = "json"
    filter_status: StatusFilter


@action("read", {"format": "csv"}, atomic=False)
def export(call: Call, parameters: ExportParameters) -> Response:
    """Give all tasks of a batch with their results as JSON (a list), JSON Lines or CSV."""
    row = call.batch(parameters.batch)
    count = reads.tasks(row.batch_id, TaskFilter(status=parameters.filter_status), limit=1).matching
    rows = reads.every_result(row.batch_id, parameters.filter_status, LINES)
    write = {"json": _json, "csv": _csv, "jsonl": _jsonl}[parameters.format]
    url = f"/api/batches/{row.batch_id}/export?format={parameters.format}"
    if parameters.filter_status:
        url += f"&filter_status={','.join(parameters.filter_status)}"
    return Response(
        True,
        f"{counted(count, 'task')} as {parameters.format}.",
        {"batch_id": str(row.batch_id), "format": parameters.format, "count": count, "url": url},
        stream=write(rows),
        content_type=CONTENT_TYPES[parameters.format],
        filename=f"batch-{row.batch_id}.{parameters.format}",
    )


def _pieces(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Many lines joined: a piece a line would cost more than the line."""
    piece: list[bytes] = []
    for line in lines:
        piece.append(line)
        if len(piece) >= LINES:
            yield b"".join(piece)
            piece = []
    yield b"".join(piece)


def _jsonl(rows: Iterator[dict]) -> Iterator[bytes]:
    return _pieces(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _json(rows: Iterator[dict]) -> Iterator[bytes]:
    def lines() -> Iterator[bytes]:
        opening = b"[\n"
        for row in rows:
            yield opening + orjson.dumps(row)
            opening = b",\n"
        yield b"\n]\n" if opening != b"[\n" else b"[]\n"

    return _pieces(lines())


def _csv(rows: Iterator[dict]) -> Iterator[bytes]:
    def lines() -> Iterator[bytes]:
        buffer = io.StringIO()
        writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
        writer.writerow(RESULT_COLUMNS)
        for row in rows:
            writer.writerow([cell(row[name]) for name in RESULT_COLUMNS])
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
        yield buffer.getvalue().encode()

    return _pieces(lines())


def cell(value) -> str:
    """One CSV cell: text as it is, everything else as JSON; what a spreadsheet would take for a formula is quoted."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text
