"""Routes that refuse unknown query parameters: a misspelt filter would otherwise match everything."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest
from ninja import Router
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from executor.domain.errors import BadRequest
from executor.domain.wording import did_you_mean


class StrictRouter(Router):
    """Ninja's router, with a check of the query's names before each route."""

    def api_operation(self, methods: list[str], path: str, **how) -> Callable:
        register = super().api_operation(methods, path, **how)
        return lambda route: register(_strict(route, path))


def query_of(parameters: type[BaseModel]) -> Callable[[Callable], Callable]:
    """Declare that a route takes the parameters of a model in its query, and passes them on unchecked."""

    def declare(route: Callable) -> Callable:
        route.query_model = parameters  # type: ignore[attr-defined]  # read by _strict
        return route

    return declare


def documented_query(parameters: type[BaseModel], *left_out: str) -> dict:
    """Return the OpenAPI entry of a query that holds the parameters of a model."""
    schema = parameters.model_json_schema()
    return {
        "parameters": [
            {"in": "query", "name": name, "required": False, "schema": part, "description": part.get("description", "")}
            for name, part in schema["properties"].items()
            if name not in left_out
        ]
    }


def _strict(route: Callable, path: str) -> Callable:
    signature = inspect.signature(route, eval_str=True)
    in_path = _in_path(path)
    known = [name for name in signature.parameters if name not in ("request", *in_path)]
    aliases: set[str] = set()
    if model := getattr(route, "query_model", None):
        known += [name for name in model.model_fields if name not in in_path and name != "batch"]
        aliases = {alias for field in model.model_fields.values() for alias in _aliases(field)}

    @wraps(route)
    def checked(request: HttpRequest, *args, **kwargs):
        if unknown := [name for name in request.GET if name not in known and name not in aliases]:
            fix = f"{did_you_mean(unknown[0], known)}It takes {', '.join(known)}." if known else "It takes none."
            errors = [{"field": name, "reason": "is not known here"} for name in unknown]
            raise BadRequest(f"There is no query parameter {unknown[0]!r}.", fix=fix, errors=errors)
        return route(request, *args, **kwargs)

    # ninja could not find the names of the route behind the wrapper.
    checked.__signature__ = signature  # type: ignore[attr-defined]
    return checked


def _aliases(field: FieldInfo) -> list[str]:
    """Return the names under which a field is accepted."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else []


def _in_path(path: str) -> list[str]:
    return re.findall(r"{(?:\w+:)?(\w+)}", path)
