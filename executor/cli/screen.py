"""Output of answers and errors: sentences and tables for people, JSON for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from executor.actions import Response
from executor.domain.errors import ExecutorError
from executor.processes.layout import COMMAND

WIDE = 400  # columns where there is no terminal, so that lines are not broken
MAX_ERRORS = 50  # mistakes that are listed; --json lists all
DELAYED = "Redis is unavailable: the call is stored, and tasks start as soon as Redis answers."
_NEXT = re.compile(r"(\w+) (\{.*\})", re.DOTALL)


class Screen:
    """Standard output and standard error; with `as_json` answers are JSON, for programs."""

    def __init__(self, out: TextIO, err: TextIO, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out, self.err = _console(out), _console(err)

    def json(self, value: Any) -> None:
        """Write one line of JSON to standard output."""
        self.out.file.write(orjson.dumps(value, default=str).decode() + "\n")
        self.out.file.flush()

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write bytes to standard output as they are."""
        self.out.file.flush()
        buffer = getattr(self.out.file, "buffer", None)
        for piece in pieces:
            buffer.write(piece) if buffer else self.out.file.write(piece.decode())

    def say(self, sentence: str) -> None:
        """Print a sentence to standard output."""
        self.out.print(plain(sentence))

    def note(self, sentence: str) -> None:
        """Print a remark to standard error."""
        self.err.print(plain(sentence))

    def answer(self, response: Response) -> None:
        """Print the answer to an action."""
        if self.as_json:
            self.json(response.as_dict())
            return
        self.say(response.message)
        if response.data.get("dispatch") == "delayed":
            self.note(DELAYED)

    def next(self, call: str | None) -> None:
        """Print the next call as a command line."""
        if words := call and typed(call):
            self.say(f"Next: {words}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], console: Console | None = None) -> None:
        """Print a table. Columns whose name ends with a space are aligned to the right."""
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
        for name in columns:
            table.add_column(name.strip(), justify="right" if name.endswith(" ") else "left", overflow="fold")
        for row in rows:
            table.add_row(*(plain("–" if cell is None else str(cell)) for cell in row))
        (console or self.out).print(table)

    def problem(self, error: ExecutorError) -> None:
        """Print an error: its sentence, every mistake, and the fix."""
        if self.as_json:
            self.json({"ok": False, **error.problem()})
            return
        self.err.print(plain(error.message), style="bold red")
        if error.errors:
            where = next((name for name in ("line", "index") if name in error.errors[0]), None)
            columns = [*([f"{where} "] if where else []), "custom_id", "field", "reason"]
            rows = [[item.get(name.strip()) for name in columns] for item in error.errors[:MAX_ERRORS]]
            used = [index for index, name in enumerate(columns) if any(row[index] is not None for row in rows)]
            self.table([columns[index] for index in used], [[row[index] for index in used] for row in rows], self.err)
            if (more := len(error.errors) - MAX_ERRORS) > 0:
                self.note(f"… and {more:,} more; --json lists all of them.")
        if error.fix:
            self.note(error.fix)


def _console(file: TextIO) -> Console:
    terminal = file.isatty()
    return Console(file=file, width=None if terminal else WIDE, highlight=False, markup=False, emoji=False)


def plain(text: str) -> Text:
    """Return text for a terminal in which control characters and markup have no effect."""
    return Text("".join(char if char.isprintable() or char == "\n" else "�" for char in text))


def typed(call: str) -> str:
    """Return `start {"batch": "x"}` as a command line; empty when it is not a call."""
    match = _NEXT.fullmatch(call)
    try:
        arguments = orjson.loads(match[2]) if match else None
    except orjson.JSONDecodeError:
        return ""
    if match is None or not isinstance(arguments, dict):
        return ""
    options = [f"--{name.replace('_', '-')} {value}" for name, value in arguments.items()]
    verb = match[1].replace("_", "-")
    return " ".join([f"{COMMAND} batch", "watch" if verb == "wait" else verb, *_without_timeout(verb, options)])


def _without_timeout(verb: str, options: list[str]) -> list[str]:
    """Return the options without those of `wait`: `watch`, which people use instead, has no timeout."""
    return [option for option in options if verb != "wait" or option.startswith("--batch ")]
