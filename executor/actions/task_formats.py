"""Reading of pasted or uploaded tasks: JSON, JSON Lines and CSV; the format is detected.

A malformed line takes the place of its task, so that it is reported together with the mistakes in the other tasks.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import orjson

from executor.domain.errors import BadTasks
from executor.domain.json_text import BadLine, kind_of, read_lines

FORMATS = ("json", "jsonl", "csv")
LIST_KEYS = ("tasks", "tool_calls", "calls", "items")
# Other columns are parameters, some of which have the name of a task's field, as `timeout`.
TASK_COLUMNS = ("function", "name", "priority", "custom_id", "max_retries")


@dataclass(frozen=True)
class Line:
    """A task and the number of its line. `task` is a BadLine, or not an object, where the line is malformed."""

    number: int
    task: Any


def read(text: str | bytes, format: str | None = None) -> list[Line]:
    """Return the tasks with their line numbers.

    Raises BadTasks if the text as a whole cannot be read. A malformed line becomes a BadLine, which is
    reported when the tasks are validated.
    """
    text = _decoded(text)
    if not text.strip():
        raise BadTasks("There are no tasks in the text.", fix="Paste or upload JSON, JSON Lines or CSV.")
    reader = {"json": _read_json, "jsonl": _read_jsonl, "csv": _read_csv}.get(format or detect(text))
    if reader is None:
        raise BadTasks(f"There is no format {format!r}.", fix=f"Use one of: {', '.join(FORMATS)}.")
    return reader(text)


def detect(text: str) -> str:
    """Return the format of `text`.

    A text that starts like JSON is JSON Lines if its first line is a whole object, or was meant to be one: then every
    bad line is reported, not only that the text is not a JSON document.
    """
    start = text.lstrip()
    if start[:1] == "[":
        return "json"
    if start[:1] != "{":
        return "csv"
    first, _, rest = start.partition("\n")
    try:
        whole = orjson.loads(first)
    except orjson.JSONDecodeError:
        return "jsonl" if first.rstrip().endswith("}") and rest.strip() and not _is_json(text) else "json"
    return "jsonl" if rest.strip() or not any(key in whole for key in LIST_KEYS) else "json"


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _decoded(text: str | bytes) -> str:
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise BadTasks(
            f"The text is not UTF-8 (line {line}).",
            errors=[_error(line, 0, "Not UTF-8.")],
            fix="Save the file as UTF-8 and send it again.",
        ) from None


def _read_json(text: str) -> list[Line]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadTasks(
            f"The text is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).",
            errors=[_error(error.lineno, 0, f"{error.msg} (column {error.colno}).")],
        ) from None
    items, defaults = _items_of(document)
    tasks = (_as_task(item) for item in items)
    return [
        Line(number, {**defaults, **task} if isinstance(task, dict) else task) for number, task in enumerate(tasks, 1)
    ]


def _items_of(document: object) -> tuple[list, dict]:
    """Return the list of tasks in a JSON document, and the values that all of them share."""
    if isinstance(document, list):
        return document, {}
    if not isinstance(document, dict):
        raise BadTasks(f"Tasks are a list of objects, not {kind_of(document)}.")
    key = next((key for key in LIST_KEYS if key in document), None)
    if key is None:
        return [document], {}
    items, defaults = document[key], document.get("defaults") or {}
    if not isinstance(items, list) or not isinstance(defaults, dict):
        raise BadTasks(f"`{key}` must be a list and `defaults` an object.")
    if others := sorted(set(document) - {key, "defaults"}):
        raise BadTasks(
            f"Only `{key}` and `defaults` are read from a pasted document, not {', '.join(others)}.",
            fix="Leave the others out and set them on the page.",
        )
    return items, defaults


def _read_jsonl(text: str) -> list[Line]:
    return [Line(number, _as_task(item)) for number, item in read_lines(text.split("\n"))]


def _read_csv(text: str) -> list[Line]:
    rows = csv.reader(io.StringIO(text), delimiter=_delimiter(text), strict=True)
    lines = []
    try:
        header = [name.strip() for name in next(rows, [])]
        if problem := _header_problem(header):
            raise BadTasks(problem, errors=[_error(1, 0, problem)])
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            number = rows.line_num
            if len(row) > len(header):
                lines.append(Line(number, BadLine(f"{len(row)} values for {len(header)} columns", number)))
            else:
                lines.append(Line(number, _task_of_row(dict(zip(header, row, strict=False)))))
    except csv.Error as error:
        lines.append(Line(rows.line_num, BadLine(f"is not CSV: {error}", rows.line_num)))
    if not lines:
        raise BadTasks("The table has a header but no tasks.")
    return lines


def _delimiter(text: str) -> str:
    """Return the delimiter of the header: in some countries spreadsheets write semicolons or tabs."""
    header = text.lstrip().partition("\n")[0]
    return max(",;\t", key=header.count)


def _header_problem(header: list[str]) -> str:
    if "function" not in header:
        return "The first line must name the columns, and one of them must be `function`."
    if "" in header:
        return f"Column {header.index('') + 1} has no name."
    twice = [name for index, name in enumerate(header) if name in header[:index]]
    return f"Column `{twice[0]}` is there twice." if twice else ""


def _task_of_row(row: dict[str, str]) -> dict:
    """Return the task of a row: known columns are its fields, all others its parameters. Empty cells are left out."""
    task: dict[str, Any] = {name: row[name].strip() for name in TASK_COLUMNS if row.get(name, "").strip()}
    task["params"] = {name: _value(cell) for name, cell in row.items() if name not in TASK_COLUMNS and cell != ""}
    return task


def _value(cell: str) -> object:
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell


def _as_task(item: object) -> object:
    """Return an agent's tool call as a task, and everything else unchanged."""
    if not isinstance(item, dict) or "tool_name" not in item:
        return item
    task = {key: value for key, value in item.items() if key not in ("tool_name", "tool_args")}
    return {"function": item["tool_name"], "params": item.get("tool_args") or {}, **task}


def _error(line: int, index: int, reason: str) -> dict:
    return {"line": line, "index": index, "custom_id": None, "field": None, "reason": reason}
