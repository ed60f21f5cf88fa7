"""Parameters of a tool, checked against the JSON Schema that its server gave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import jsonschema
import referencing
from jsonschema.exceptions import ValidationError as Unfit
from pydantic import RootModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from referencing.exceptions import Unresolvable

from executor.domain import secrets

ERRORS = 20  # of one task that are told
# What these say of a value depends on what is inside of it.
BY_WHAT_IS_INSIDE = {"anyOf", "oneOf", "not", "contains", "const", "enum", "uniqueItems", "dependentSchemas"}


class ToolParameters(RootModel[dict[str, Any]]):
    """Any parameters; those of a tool whose schema is known are made by `parameters_of`."""

    tool_schema: ClassVar[dict[str, Any]] = {"type": "object"}
    validator: ClassVar[Any] = None

    @classmethod
    def model_validate(cls, obj: Any, **how: Any):
        """Raises pydantic's ValidationError, with the place of every fault."""
        made = super().model_validate(obj, **how)
        if cls.validator is None:
            return made
        try:
            faults = [fault for fault in cls.validator.iter_errors(made.root) if not _cannot_know(fault)]
            wrong = [problem for fault in faults for problem in _problems(fault)]
        except (Unresolvable, RecursionError):
            return made  # a schema that cannot be followed here: its server will judge
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong[:ERRORS])
        return made

    @classmethod
    def model_json_schema(cls, *_, **__) -> dict[str, Any]:
        return cls.tool_schema


def parameters_of(name: str, schema: dict[str, Any]) -> type[ToolParameters]:
    """The parameter model of a tool. A schema that is none checks nothing: its server will judge."""

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        # With a registry of its own nothing is fetched that the schema points to.
        validator = kind(schema, registry=referencing.Registry())
    except (jsonschema.SchemaError, RecursionError):
        validator = None
    return type(name, (ToolParameters,), {"tool_schema": _shown(schema), "validator": validator})


def _shown(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as forms take it: an object with properties that are objects."""
    properties = schema.get("properties")
    parts = properties.items() if isinstance(properties, dict) else ()
    required = schema.get("required")
    return {
        **schema,
        "type": "object",
        "properties": {name: part if isinstance(part, dict) else {} for name, part in parts},
        "required": required if isinstance(required, list) else [],
    }


def _cannot_know(fault: Unfit) -> bool:
    """Whether the fault may come from a secret, whose value is not known here: its server will judge."""
    return fault.validator in BY_WHAT_IS_INSIDE and any(secrets.find_secrets(fault.instance))


def _problems(fault: Unfit) -> Iterator[InitErrorDetails]:
    place = tuple(fault.absolute_path)
    match fault.validator:
        case "required":
            missing = [name for name in fault.validator_value if name not in fault.instance]
            # One fault for each of them comes by itself; jsonschema names it in its message only.
            name = next((name for name in missing if fault.message.startswith(repr(name))), "")
            yield _problem((*place, name), "Field required", fault.instance)
        case "additionalProperties" if fault.validator_value is False and "patternProperties" not in fault.schema:
            known = fault.schema.get("properties", {})
            told = ", ".join(known) or "none"
            for name in fault.instance:
                if name not in known:
                    yield _problem((*place, name), f"unknown parameter; known are: {told}", None)
        case _:
            yield _problem(place, _shortened(fault.message), fault.instance)


def _problem(place: tuple, message: str, value: Any) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError("json_schema", "{reason}", {"reason": message}), loc=place, input=value
    )


def _shortened(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:200]} … {message[-80:]}"
