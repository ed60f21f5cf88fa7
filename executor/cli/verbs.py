"""The verbs of `manage.py batch`: one for each action of the registry, and `watch` and `list`.

An action needs nothing here: its verb takes its parameters as flags and prints its answer. What a terminal adds to an
action (a file to read or to write, a table, a progress bar) is declared with `@extends`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from executor.access import caller_of_shell
from executor.actions import ACTIONS, Action, BatchExecutor, Response
from executor.domain.discovery import import_submodules
from executor.domain.errors import BadRequest

from . import tables
from .arguments import add_flags, escaped, given
from .screen import Screen

Options = dict[str, Any]
AddOptions = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: `add_options` declares its arguments, `run` carries it out and returns the exit code; None is 0."""

    name: str
    summary: str
    add_options: AddOptions
    run: Callable[[Screen, Options], int | None]


@dataclass(frozen=True, slots=True)
class _Extension:
    """The extension of an action for the terminal. `add_options` provides the parameters in `replaced` itself."""

    run: Callable[[Screen, Options], int | None]
    add_options: AddOptions | None
    replaced: tuple[str, ...]


_extensions: dict[str, _Extension] = {}
_own: dict[str, Verb] = {}


def extends(action: str, add_options: AddOptions | None = None, replaced: tuple[str, ...] = ()) -> Callable:
    """Register a function as the way in which the command line runs an action."""

    def register(run: Callable) -> Callable:
        _extensions[action] = _Extension(run, add_options, replaced)
        return run

    return register


def own_verb(name: str, summary: str, add_options: AddOptions) -> Callable:
    """Register a function as a verb that is no action."""

    def register(run: Callable) -> Callable:
        _own[name] = Verb(name, summary, add_options, run)
        return run

    return register


def verbs() -> dict[str, Verb]:
    """Return all verbs by name."""
    import_submodules(f"{__package__}.extensions")
    return {**{entry.verb: _verb_of(entry) for entry in ACTIONS.values()}, **_own}


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each verb to the parser."""
    known = verbs()
    commands = parser.add_subparsers(dest="verb", required=True, metavar="|".join(known))
    for verb in known.values():
        summary = escaped(verb.summary)
        command = commands.add_parser(verb.name, help=summary, description=summary, argument_default=argparse.SUPPRESS)
        verb.add_options(command)
        command.add_argument("--json", action="store_true", help="answer in JSON, for programs")


def execute(action: str, arguments: Options) -> Response:
    """Run an action with all rights.

    Raises ExecutorError.
    """
    return BatchExecutor(caller_of_shell()).execute(action, **arguments)


def execute_given(action: str, options: Options) -> Response:
    """Run an action with the parameters among the options.

    Raises ExecutorError.
    """
    return execute(action, given(ACTIONS[action].parameters, options))


# --- the verb of an action -------------------------------------------------------------------------------


def _verb_of(entry: Action) -> Verb:
    extension = _extensions.get(entry.name)
    default = _ask_and_run if entry.asks_first else _run
    return Verb(
        entry.verb,
        entry.summary,
        partial(_add_options, entry, extension),
        extension.run if extension else partial(default, entry),
    )


def _add_options(entry: Action, extension: _Extension | None, parser: argparse.ArgumentParser) -> None:
    add_flags(parser, entry.parameters, extension.replaced if extension else ())
    if entry.asks_first:
        parser.add_argument("--yes", action="store_true", help="do not ask")
    if extension and extension.add_options:
        extension.add_options(parser)


def _run(entry: Action, screen: Screen, options: Options) -> None:
    response = execute_given(entry.name, options)
    screen.answer(response)
    if not screen.as_json:
        screen.next(response.data.get("next"))


def _ask_and_run(entry: Action, screen: Screen, options: Options) -> None:
    """Show a preview, ask for confirmation, and run the action."""
    arguments = given(entry.parameters, options)
    if not (options.get("yes") or arguments.get("dry_run")):
        preview = execute(entry.name, {**arguments, "dry_run": True})
        if not sys.stdin.isatty():
            raise BadRequest(
                f"{preview.message} Nothing was done.",
                fix="There is no terminal to ask for confirmation: give --yes, or --dry-run.",
            )
        tables.preview(screen, preview.data)
        count = sum(preview.data["would_delete"].values())
        if not count or not _confirmed(f"{entry.verb.capitalize()} {count:,} tasks? [y/N] "):
            screen.say("Nothing was done.")
            return
    response = execute(entry.name, arguments)
    screen.answer(response)
    if not screen.as_json and arguments.get("dry_run"):
        tables.preview(screen, response.data)


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False
