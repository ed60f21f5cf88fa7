"""The verbs of `manage.py batch`. Exit codes: 0 done, 1 tasks failed, 2 an error, 3 not finished, 130 interrupted."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, TextIO

from executor.access import caller_of_shell
from executor.actions import BatchExecutor, Response
from executor.actions.task_formats import read
from executor.domain.errors import BadRequest, BadTasks
from executor.reads import lists

from . import tables
from .arguments import action_of, given
from .problems import explained
from .screen import Screen
from .watch import INTERRUPTED, NOT_OVER, exit_code, watch

ERROR = 2


def run(verb: str, options: dict[str, Any], out: TextIO, err: TextIO) -> int:
    """Do what was typed; the exit code. No error leaves this as a traceback."""
    screen = Screen(out, err, options.pop("json", False))
    try:
        return VERBS.get(verb, _plain)(screen, verb, options) or 0
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if options.get("traceback"):
            raise
        screen.problem(explained(error))
        return ERROR


def _execute(verb: str, arguments: dict[str, Any]) -> Response:
    return BatchExecutor(caller_of_shell()).execute(action_of(verb), **arguments)


def _plain(screen: Screen, verb: str, options: dict[str, Any]) -> None:
    response = _execute(verb, given(verb, options))
    screen.answer(response)
    if not screen.as_json:
        screen.next(response.data.get("next"))


def _add(screen: Screen, verb: str, options: dict[str, Any]) -> None:
    arguments = given(verb, options)
    if pairs := options.get("pairs"):
        params = arguments.get("params", {})
        if not isinstance(params, dict):
            fix = "Give all of them with --param, or in the object."
            raise BadRequest("--params must be a JSON object when --param is given too.", fix=fix)
        arguments["params"] = {**params, **dict(pairs)}
    response = _execute(verb, arguments)
    screen.answer(response)
    if not screen.as_json:
        screen.say(f"Task {response.data['task_id']} of batch {response.data['batch_id']}")
        screen.next(response.data["next"])


def _add_batch(screen: Screen, verb: str, options: dict[str, Any]) -> int:
    source = options["file"]
    text = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    arguments = given(verb, options)
    watching = options.get("watch", False)
    if watching:
        arguments["start"] = True
    lines = read(text, options.get("format"))
    try:
        response = _execute(verb, {**arguments, "tasks": [line.task for line in lines]})
    except BadTasks as error:
        error.errors = [{"line": lines[item["index"]].number, **item} for item in error.errors]
        raise
    batch_id = response.data["batch_id"]
    screen.answer(response)
    if not screen.as_json:
        screen.say(f"Batch {batch_id}")
    if watching:
        return watch(screen, batch_id)
    if not screen.as_json:
        screen.next(response.data["next"])
    return 0


def _start(screen: Screen, verb: str, options: dict[str, Any]) -> int:
    response = _execute(verb, given(verb, options))
    screen.answer(response)
    if options.get("watch"):
        return watch(screen, response.data["batch_id"])
    if not screen.as_json:
        screen.next(response.data["next"])
    return 0


def _watch(screen: Screen, verb: str, options: dict[str, Any]) -> int:
    return watch(screen, _execute("status", options and given("status", options)).data["batch_id"])


def _status(screen: Screen, verb: str, options: dict[str, Any]) -> None:
    response = _execute(verb, given(verb, options))
    screen.answer(response)
    if not screen.as_json:
        tables.status(screen, response.data)
        screen.next(response.data["next"])


def _results(screen: Screen, verb: str, options: dict[str, Any]) -> None:
    response = _execute(verb, given(verb, options))
    if screen.as_json:
        screen.answer(response)
        return
    tables.results(screen, response.data["results"], options.get("fields"))
    screen.note(response.message)


def _export(screen: Screen, verb: str, options: dict[str, Any]) -> None:
    response = _execute(verb, given(verb, options))
    target = options.get("output")
    if not target:
        screen.out.file.flush()
        write = getattr(screen.out.file, "buffer", None)
        for piece in response.stream:
            write.write(piece) if write else screen.out.file.write(piece.decode())
        return
    # Written beside it first: a file of that name is always a whole export.
    path, part = Path(target), Path(f"{target}.part")
    try:
        with open(part, "wb") as file:
            file.writelines(response.stream)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    response.data["output"] = str(path)
    response.message = f"{response.message.removesuffix('.')} in {path}."
    screen.answer(response)


def _clear(screen: Screen, verb: str, options: dict[str, Any]) -> int:
    arguments = given(verb, options)
    asks = not (options.get("yes") or arguments.get("dry_run"))
    if asks:
        preview = _execute(verb, {**arguments, "dry_run": True})
        if not sys.stdin.isatty():
            raise BadRequest(
                f"{preview.message} Nothing was deleted.", fix="Nobody can be asked here: say --yes, or --dry-run."
            )
        tables.clearing(screen, preview.data)
        count = sum(preview.data["would_delete"].values())
        if not count or not _agreed(f"Delete {count:,} tasks? [y/N] "):
            screen.say("Nothing was deleted.")
            return 0
    response = _execute(verb, arguments)
    screen.answer(response)
    if not screen.as_json and arguments.get("dry_run"):
        tables.clearing(screen, response.data)
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _wait(screen: Screen, verb: str, options: dict[str, Any]) -> int:
    response = _execute(verb, given(verb, options))
    screen.answer(response)
    if options.get("until") == "change":
        return NOT_OVER if response.data["timed_out"] else 0
    return exit_code(response.data)


def _list(screen: Screen, verb: str, options: dict[str, Any]) -> None:
    caller_of_shell().require("read")
    chosen = {name: options[name] for name in ("state", "q", "cursor") if options.get(name)}
    limit = options.get("limit") or 20
    if not 1 <= limit <= 1000:
        raise BadRequest("--limit must be from 1 to 1000.", fix="Go on with --cursor.")
    rows, cursor = lists.batches(limit=limit, **chosen)
    if screen.as_json:
        screen.json({"batches": rows, "next_cursor": cursor})
        return
    if rows:
        tables.batches(screen, rows)
    else:
        screen.say("There are no such batches." if chosen else "There are no batches yet.")
    if cursor:
        screen.note(f"There are more: --cursor {cursor}")


VERBS = {
    "add": _add,
    "add-batch": _add_batch,
    "start": _start,
    "watch": _watch,
    "status": _status,
    "results": _results,
    "export": _export,
    "clear": _clear,
    "wait": _wait,
    "list": _list,
}
