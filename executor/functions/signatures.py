"""Parameter models from the signatures of task functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from .context import TaskContext


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a task function, and how the function takes them.

    `model_name` is the parameter that takes the whole model, `context_name` the one that takes the context.
    """

    parameters: type[BaseModel]
    model_name: str | None
    context_name: str | None


def signature_of(name: str, call: Callable) -> Signature:
    """Return the signature of a task function. Raises ValueError, or any error of its type hints."""
    hints = get_type_hints(call)
    fields: dict[str, Any] = {}
    context_name = None
    for position, (parameter_name, parameter) in enumerate(inspect.signature(call).parameters.items()):
        hint = hints.get(parameter_name, Any)
        if hint is TaskContext:
            context_name = parameter_name
        elif position == 0 and isinstance(hint, type) and issubclass(hint, BaseModel):
            fields[parameter_name] = hint
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ValueError(f"parameter {parameter_name!r} must be passable by name; remove *, ** or / from it.")
        else:
            fields[parameter_name] = (hint, ... if parameter.default is parameter.empty else parameter.default)
    if len(fields) == 1 and isinstance(model := next(iter(fields.values())), type):
        return Signature(model, next(iter(fields)), context_name)
    return Signature(create_model(name, __config__=ConfigDict(extra="forbid"), **fields), None, context_name)
