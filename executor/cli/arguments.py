"""Command-line flags made from the parameter models of the actions."""

from __future__ import annotations

import argparse
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import orjson
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo


def add_flags(parser: argparse.ArgumentParser, model: type[BaseModel], skipped: tuple[str, ...] = ()) -> None:
    """Add a flag for each field of a model. A field's other names are accepted, and left out of the help."""
    for name, field in model.model_fields.items():
        if name in skipped:
            continue
        options = _options(name, field)
        parser.add_argument(_flag(name), **options, help=escaped(field.description or ""))
        if others := [_flag(alias) for alias in _other_names(name, field)]:
            parser.add_argument(*others, **options, help=argparse.SUPPRESS)


def given(model: type[BaseModel], options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the model that were given on the command line."""
    return {name: options[name] for name in model.model_fields if options.get(name) is not None}


def _options(name: str, field: FieldInfo) -> dict[str, Any]:
    kinds = list(_kinds(field.annotation))
    if kinds == [bool]:
        return {"dest": name, "action": "store_true"}
    if dict in kinds:
        return {"dest": name, "type": json_value, "metavar": "JSON"}
    if list in kinds:
        return {"dest": name, "action": _Words, "nargs": "+", "metavar": "WORD"}
    if len(kinds) > 1 and all(isinstance(kind, str) for kind in kinds):
        return {"dest": name, "choices": kinds}
    return {"dest": name, "metavar": name.upper()}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _other_names(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices if choice != name] if isinstance(alias, AliasChoices) else []


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the plain types that an annotation allows; of a Literal its words."""
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
    """A list: `--x a b`, `--x a,b` or `--x '["a", "b"]'`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
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
    """Return the value of a JSON text.

    Raises ArgumentTypeError.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error})") from None


def pair(text: str) -> tuple[str, Any]:
    """Return key and value of `key=value`; the value is JSON if it parses as such, else text.

    Raises ArgumentTypeError.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} must be key=value")
    try:
        return key, orjson.loads(value)
    except orjson.JSONDecodeError:
        return key, value


def escaped(text: str) -> str:
    """Return a help text in which `%` stands for itself."""
    return text.replace("%", "%%")
