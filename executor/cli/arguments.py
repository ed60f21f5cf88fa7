"""The arguments of `manage.py batch`: those of the actions, by the same names, read from the actions' own models."""

from __future__ import annotations

import argparse
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import orjson

from executor.actions import ACTIONS
from executor.actions.task_formats import FORMATS

WATCH = "follow the batch until it is over: exit code 0, or 1 when tasks failed, 3 when it was stopped"
VERBS = {
    **{verb: "" for verb in ("add", "add-batch", "start", "stop", "status")},
    "watch": f"Show a live progress bar and {WATCH}.",
    **{verb: "" for verb in ("results", "export", "clear", "cancel", "retry", "update", "wait")},
    "list": "List batches, the newest first.",
}
POSITIONAL = {"add": ("function",), "add-batch": ("tasks",)}  # given without a flag


def action_of(verb: str) -> str:
    return verb.replace("-", "_")


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Give the parser one subcommand a verb."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(VERBS))
    for verb, summary in VERBS.items():
        action = ACTIONS.get(action_of(verb))
        summary = _escaped(summary or action.summary)
        sub = verbs.add_parser(verb, help=summary, description=summary, argument_default=argparse.SUPPRESS)
        if action:
            _add_options(sub, action.parameters, POSITIONAL.get(verb, ()))
        EXTRAS.get(verb, lambda _: None)(sub)
        sub.add_argument("--json", action="store_true", help="answer in JSON, for programs")


def given(verb: str, options: dict[str, Any]) -> dict[str, Any]:
    """The action's parameters among the options; nothing but what was typed."""
    known = ACTIONS[action_of(verb)].parameters.model_fields
    return {name: value for name, value in options.items() if name in known and value is not None}


def _add_options(parser: argparse.ArgumentParser, model: type, skipped: tuple[str, ...]) -> None:
    for name, field in model.model_fields.items():
        if name in skipped:
            continue
        kinds = list(_kinds(field.annotation))
        how: dict[str, Any] = {"dest": name, "help": _escaped(field.description or "")}
        if kinds == [bool]:
            how["action"] = "store_true"
        elif dict in kinds:
            how |= {"type": json_value, "metavar": "JSON"}
        elif list in kinds:
            how |= {"action": _Words, "nargs": "+", "metavar": "WORD"}
        elif len(kinds) > 1 and all(isinstance(kind, str) for kind in kinds):
            how["choices"] = kinds
        else:
            how["metavar"] = name.upper()
        parser.add_argument(f"--{name.replace('_', '-')}", **how)


def _kinds(annotation: Any) -> Iterator[Any]:
    """The plain types that an annotation allows; the words of a Literal themselves."""
    origin = get_origin(annotation)
    if origin is Literal:
        yield from get_args(annotation)
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif hasattr(annotation, "__metadata__"):
        yield from _kinds(annotation.__origin__)
    elif annotation is not type(None):
        yield origin or annotation


class _Words(argparse.Action):
    """`--x a b`, `--x a,b` or `--x '["a", "b"]'`."""

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 1:
            words = values
        elif values[0].startswith("["):
            try:
                words = json_value(values[0])
            except argparse.ArgumentTypeError as error:
                raise argparse.ArgumentError(self, str(error)) from None
        else:
            words = values[0].split(",")
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest, None) or []), *words])


def json_value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error})") from None


def pair(text: str) -> tuple[str, Any]:
    """`key=value`; the value is JSON if it parses as such, and else text."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} must be key=value")
    try:
        return key, orjson.loads(value)
    except orjson.JSONDecodeError:
        return key, value


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("function", help="what to run, for example simulate")
    parser.add_argument(
        "--param",
        action="append",
        type=pair,
        metavar="KEY=VALUE",
        dest="pairs",
        help="one parameter of the function; the value is JSON if it parses, else text; repeatable",
    )


def _add_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="JSON, JSON Lines or CSV; - reads standard input")
    parser.add_argument("--format", choices=FORMATS, help="what FILE is (default: found out by looking)")
    _watch(parser)


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", action="store_true", help=f"after the start, {WATCH}")


def _batch(parser: argparse.ArgumentParser) -> None:
    help = "the batch's id or name; without it, your default batch"
    parser.add_argument("--batch", metavar="BATCH", help=help)


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FILE", help="where to write it (default: standard output)")


def _clear(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", metavar="STATE", help="open, running, stopping, stopped or finished; or with commas")
    parser.add_argument("--q", metavar="TEXT", help="only batches with this text in their name")
    parser.add_argument("--limit", type=int, metavar="N", help="how many (default 20)")
    parser.add_argument("--cursor", metavar="CURSOR", help="the `next_cursor` of the list before")


EXTRAS = {
    "add": _add,
    "add-batch": _add_batch,
    "start": _watch,
    "watch": _batch,
    "export": _export,
    "clear": _clear,
    "list": _list,
}
