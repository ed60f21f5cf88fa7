"""status, results, export and list: tables and files."""

from __future__ import annotations

import argparse
from pathlib import Path

from executor.access import caller_of_shell
from executor.domain.errors import BadRequest
from executor.domain.states import BatchState
from executor.reads.batches import list_batches

from .. import tables
from ..screen import Screen
from ..verbs import Options, execute_given, extends, own_verb

LISTED = 20  # batches, unless --limit is given
MAX_LISTED = 1000


@extends("status")
def status(screen: Screen, options: Options) -> None:
    response = execute_given("status", options)
    screen.answer(response)
    if not screen.as_json:
        tables.status(screen, response.data)
        screen.next(response.data["next"])


@extends("results")
def results(screen: Screen, options: Options) -> None:
    response = execute_given("results", options)
    if screen.as_json:
        screen.answer(response)
        return
    tables.results(screen, response.data["results"], options.get("fields"))
    screen.note(response.message)


def _export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FILE", help="where to write it (default: standard output)")


@extends("export", _export_options)
def export(screen: Screen, options: Options) -> None:
    response = execute_given("export", options)
    target = options.get("output")
    if not target:
        screen.write(response.stream or ())
        return
    # Written to a temporary file and renamed: a file of that name is always a complete export.
    path, part = Path(target), Path(f"{target}.part")
    try:
        with open(part, "wb") as file:
            file.writelines(response.stream or ())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    response.data["output"] = str(path)
    response.message = f"{response.message.removesuffix('.')} in {path}."
    screen.answer(response)


def _list_options(parser: argparse.ArgumentParser) -> None:
    states = ", ".join(BatchState.values)
    parser.add_argument("--state", metavar="STATE", help=f"only batches in this state: {states}; several with commas")
    parser.add_argument("--q", metavar="TEXT", help="only batches with this text in their name")
    parser.add_argument("--limit", type=int, metavar="N", help=f"how many (default {LISTED})")
    parser.add_argument("--cursor", metavar="CURSOR", help="the `next_cursor` of the list before")


@own_verb("list", "List batches, the newest first.", _list_options)
def list_(screen: Screen, options: Options) -> None:
    caller_of_shell().require("read")
    filters = {name: options[name] for name in ("state", "q", "cursor") if options.get(name)}
    limit = options.get("limit") or LISTED
    if not 1 <= limit <= MAX_LISTED:
        raise BadRequest(f"--limit must be from 1 to {MAX_LISTED}.", fix="Continue with --cursor.")
    rows, cursor = list_batches(limit=limit, **filters)
    if screen.as_json:
        screen.json({"batches": rows, "next_cursor": cursor})
        return
    if rows:
        tables.batches(screen, rows)
    else:
        screen.say("There are no such batches." if filters else "There are no batches yet.")
    if cursor:
        screen.note(f"There are more: --cursor {cursor}")
