"""Validation of a task's parameters before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from executor.domain import secrets
from executor.domain.errors import UnknownFunction

from .registry import TaskFunction, lookup, resolve

BAD_SECRET = 'a secret is {"$secret": "NAME"} and nothing else; a name is letters, digits and _'


def validate(name: str, params: dict) -> list[tuple[str, str]]:
    """Return the errors in a function's parameters as (field, reason) pairs."""
    try:
        function = lookup(name)
        errors = _errors(function, params)
        if function.delegate is not None and not errors:
            function, inner = resolve(name, params)
            errors = _errors(function, inner)
    except UnknownFunction as error:
        return [("function", error.message)]
    if not errors and (reason := function.unavailable()):
        errors = [("function", reason)]
    return errors


def _errors(function: TaskFunction, params: dict) -> list[tuple[str, str]]:
    """Return the errors that are certain: only the worker has the value of a secret."""
    hidden = dict(secrets.find_secrets(params))
    errors = [(_field(path), BAD_SECRET) for path, name in hidden.items() if not secrets.is_secret_name(name)]
    try:
        function.parameters.model_validate(params)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            location = detail["loc"]
            if not any(location[: len(path)] == path for path in hidden):
                errors.append((_field(location), _reason(detail, function)))
    return errors


def _field(location: tuple) -> str:
    return ".".join(["params", *map(str, location)])


def _reason(detail: Mapping[str, Any], function: TaskFunction) -> str:
    if detail["type"] != "extra_forbidden":
        return detail["msg"].removeprefix("Value error, ")
    known = ", ".join(field.alias or name for name, field in function.parameters.model_fields.items()) or "none"
    return f"unknown parameter; {function.name} takes: {known}"
