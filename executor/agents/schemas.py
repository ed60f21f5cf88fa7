"""Validation of a tool's parameters by the JSON Schema of its server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import jsonschema
import referencing
from jsonschema.exceptions import ValidationError as SchemaViolation
from pydantic import RootModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from referencing.exceptions import Unresolvable

from executor.domain import secrets

MAX_ERRORS = 20  # reported for one task
# Keywords whose result depends on the values inside.
DEPENDS_ON_CONTENT = {"anyOf", "oneOf", "not", "contains", "const", "enum", "uniqueItems", "dependentSchemas"}


class ToolParameters(RootModel[dict[str, Any]]):
    """Any parameters. `parameters_of` derives the model of a tool whose schema is known."""

    tool_schema: ClassVar[dict[str, Any]] = {"type": "object"}
    validator: ClassVar[Any] = None

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate by the JSON Schema. Raises pydantic's ValidationError, with the place of every error."""
        model = super().model_validate(obj, **options)
        if cls.validator is None:
            return model
        try:
            errors = [error for error in cls.validator.iter_errors(model.root) if not _depends_on_secret(error)]
            details = [detail for error in errors for detail in _details(error)]
        except (Unresolvable, RecursionError):
            return model  # the schema cannot be resolved here: leave the validation to its server
        if details:
            raise ValidationError.from_exception_data(cls.__name__, details[:MAX_ERRORS])
        return model

    @classmethod
    def model_json_schema(cls, *_, **__) -> dict[str, Any]:
        return cls.tool_schema


def parameters_of(name: str, schema: dict[str, Any]) -> type[ToolParameters]:
    """Return the parameter model of a tool. An invalid schema validates nothing here; its server does."""
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
        # With an empty registry no remote reference of the schema is fetched.
        validator = kind(schema, registry=referencing.Registry())
    except (jsonschema.SchemaError, RecursionError):
        validator = None
    return type(name, (ToolParameters,), {"tool_schema": _for_forms(schema), "validator": validator})


def _for_forms(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema as an object whose properties are all objects, as forms require."""
    properties = schema.get("properties")
    parts = properties.items() if isinstance(properties, dict) else ()
    required = schema.get("required")
    return {
        **schema,
        "type": "object",
        "properties": {name: part if isinstance(part, dict) else {} for name, part in parts},
        "required": required if isinstance(required, list) else [],
    }


def _depends_on_secret(error: SchemaViolation) -> bool:
    """Return whether the error may come from a secret, whose value is unknown here."""
    return error.validator in DEPENDS_ON_CONTENT and any(secrets.find_secrets(error.instance))


def _details(error: SchemaViolation) -> Iterator[InitErrorDetails]:
    place = tuple(error.absolute_path)
    keyword: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    match error.validator:
        case "required":
            missing = [name for name in keyword if name not in instance]
            # jsonschema reports one error for each of them, and names it in the message only.
            name = next((name for name in missing if error.message.startswith(repr(name))), "")
            yield _detail((*place, name), "Field required", instance)
        case "additionalProperties" if keyword is False and "patternProperties" not in schema:
            known = schema.get("properties", {})
            names = ", ".join(known) or "none"
            for name in instance:
                if name not in known:
                    yield _detail((*place, name), f"unknown parameter; known are: {names}", None)
        case _:
            yield _detail(place, _shortened(error.message), instance)


def _detail(place: tuple, message: str, value: Any) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError("json_schema", "{reason}", {"reason": message}), loc=place, input=value
    )


def _shortened(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:200]} … {message[-80:]}"
