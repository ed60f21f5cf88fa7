"""Routes that refuse what they do not know in a query: a misspelt filter would be answered with everything."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest
from ninja import Router

from executor.domain.errors import BadRequest
from executor.domain.wording import did_you_mean


class StrictRouter(Router):
    """Ninja's router, whose routes know all parameters of their query."""

    def api_operation(self, methods: list[str], path: str, **how) -> Callable:
        register = super().api_operation(methods, path, **how)
        return lambda route: register(_strict(route, path))


def _strict(route: Callable, path: str) -> Callable:
    signature = inspect.signature(route, eval_str=True)
    known = [name for name in signature.parameters if name not in ("request", *_in_path(path))]

    @wraps(route)
    def checked(request: HttpRequest, *args, **kwargs):
        if unknown := [name for name in request.GET if name not in known]:
            fix = f"{did_you_mean(unknown[0], known)}It takes {', '.join(known)}." if known else "It takes none."
            errors = [{"field": name, "reason": "is not known here"} for name in unknown]
            raise BadRequest(f"There is no query parameter {unknown[0]!r}.", fix=fix, errors=errors)
        return route(request, *args, **kwargs)

    checked.__signature__ = signature  # ninja could not find the route's names from here
    return checked


def _in_path(path: str) -> list[str]:
    return re.findall(r"{(?:\w+:)?(\w+)}", path)
