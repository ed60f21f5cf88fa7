"""add and add-batch: parameters as key=value, tasks from a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from executor.actions import ACTIONS
from executor.actions.task_formats import FORMATS, read
from executor.domain.errors import BadRequest, BadTasks

from ..arguments import given, pair
from ..screen import Screen
from ..verbs import Options, execute, extends
from ..watch import watch
from .running import add_watch


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="the task function to run, for example simulate")
    parser.add_argument(
        "--param",
        action="append",
        type=pair,
        metavar="KEY=VALUE",
        dest="pairs",
        help="one parameter of the function; the value is JSON if it parses, else text; repeatable",
    )


@extends("add", _add_options, replaced=("function",))
def add(screen: Screen, options: Options) -> None:
    arguments = given(ACTIONS["add"].parameters, options)
    if pairs := options.get("pairs"):
        params = arguments.get("params", {})
        if not isinstance(params, dict):
            fix = "Give all of them with --param, or in the object."
            raise BadRequest("--params must be a JSON object when --param is given too.", fix=fix)
        arguments["params"] = {**params, **dict(pairs)}
    response = execute("add", arguments)
    screen.answer(response)
    if not screen.as_json:
        screen.say(f"Task {response.data['task_id']} of batch {response.data['batch_id']}")
        screen.next(response.data["next"])


def _add_batch_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="JSON, JSON Lines or CSV; - reads standard input")
    parser.add_argument("--format", choices=FORMATS, help="the format of FILE (default: detected)")
    add_watch(parser)


@extends("add_batch", _add_batch_options, replaced=("tasks",))
def add_batch(screen: Screen, options: Options) -> int:
    source = options["file"]
    text = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    arguments = given(ACTIONS["add_batch"].parameters, options)
    watching = options.get("watch", False)
    if watching:
        arguments["start"] = True
    lines = read(text, options.get("format"))
    try:
        response = execute("add_batch", {**arguments, "tasks": [line.task for line in lines]})
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
