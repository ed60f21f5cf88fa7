"""How answers and errors look: sentences and tables for people, JSON for programs."""

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

WIDE = 400  # columns where nobody looks: programs cut lines by themselves
ERRORS = 50  # wrong items that are listed; --json lists all
DELAYED = "Redis does not answer now: what you asked for is stored, and tasks start when it is back."
_NEXT = re.compile(r"(\w+) (\{.*\})", re.DOTALL)


class Screen:
    """Standard output and standard error; `as_json` is for programs."""

    def __init__(self, out: TextIO, err: TextIO, as_json: bool = False):
        self.as_json = as_json
        self.out, self.err = _console(out), _console(err)

    def json(self, value: Any) -> None:
        """One line of JSON on standard output."""
        self.out.file.write(orjson.dumps(value, default=str).decode() + "\n")
        self.out.file.flush()

    def say(self, sentence: str) -> None:
        self.out.print(plain(sentence))

    def note(self, sentence: str) -> None:
        """Something beside the answer."""
        self.err.print(plain(sentence))

    def answer(self, response: Response) -> None:
        """The answer to an action: its sentence, and what can be done next."""
        if self.as_json:
            self.json(response.as_dict())
            return
        self.say(response.message)
        if response.data.get("dispatch") == "delayed":
            self.note(DELAYED)

    def next(self, call: str | None) -> None:
        """The call that comes next, as one types it."""
        if words := call and typed(call):
            self.say(f"Next: {words}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], console: Console | None = None) -> None:
        """Columns whose name ends with a space are numbers, and stand to the right."""
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
        for name in columns:
            table.add_column(name.strip(), justify="right" if name.endswith(" ") else "left", overflow="fold")
        for row in rows:
            table.add_row(*(plain("–" if cell is None else str(cell)) for cell in row))
        (console or self.out).print(table)

    def problem(self, error: ExecutorError) -> None:
        """What is wrong, what to do, and every wrong item."""
        if self.as_json:
            self.json({"ok": False, **error.problem()})
            return
        self.err.print(plain(error.message), style="bold red")
        if error.errors:
            where = next((name for name in ("line", "index") if name in error.errors[0]), None)
            columns = [*([f"{where} "] if where else []), "custom_id", "field", "reason"]
            rows = [[item.get(name.strip()) for name in columns] for item in error.errors[:ERRORS]]
            used = [index for index, name in enumerate(columns) if any(row[index] is not None for row in rows)]
            self.table([columns[index] for index in used], [[row[index] for index in used] for row in rows], self.err)
            if (more := len(error.errors) - ERRORS) > 0:
                self.note(f"… and {more:,} more; --json lists all of them.")
        if error.fix:
            self.note(error.fix)


def _console(file: TextIO) -> Console:
    terminal = file.isatty()
    return Console(file=file, width=None if terminal else WIDE, highlight=False, markup=False, emoji=False)


def plain(text: str) -> Text:
    """Text of tasks on a terminal: it cannot move the cursor, change colours, or be taken for markup."""
    return Text("".join(char if char.isprintable() or char == "\n" else "�" for char in text))


def typed(call: str) -> str:
    """`start {"batch": "x"}` as a command line; empty when it cannot be one."""
    match = _NEXT.fullmatch(call)
    try:
        arguments = orjson.loads(match[2]) if match else None
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(arguments, dict):
        return ""
    options = [f"--{name.replace('_', '-')} {value}" for name, value in arguments.items()]
    verb = match[1].replace("_", "-")
    return " ".join(["manage.py batch", "watch" if verb == "wait" else verb, *_without_timeout(verb, options)])


def _without_timeout(verb: str, options: list[str]) -> list[str]:
    """People watch where programs wait, and watching has no timeout."""
    return [option for option in options if verb != "wait" or option.startswith("--batch ")]
