"""The parts that all pages share: the caller, its permissions, and errors as pages or messages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from executor.access import Caller, caller_of_user
from executor.actions import BatchExecutor, Response
from executor.domain.errors import ExecutorError, NotAllowed, NotFound


class PageRequest(HttpRequest):
    """A request that has passed `page`."""

    caller: Caller


def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Require the scope `read`, set `request.caller`, and turn domain errors into error pages."""

    @wraps(view)
    def wrapped(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        request.caller = caller_of_user(request.user)
        try:
            request.caller.require("read")
            return view(request, *args, **kwargs)
        except NotFound as error:
            raise Http404(error.message) from error
        except NotAllowed as error:
            raise PermissionDenied(error.message) from error
        except ExecutorError as error:
            return render_page(request, "executor/problem.html", error=error, status=error.status)

    return wrapped


def render_page(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """Render a template with the scopes of the caller."""
    caller: Caller | None = getattr(request, "caller", None)
    return render(request, template, {"scopes": caller.scopes if caller else (), **context}, status=status)


def execute(request: PageRequest, action: str, **arguments: Any) -> Response | None:
    """Run an action and report its outcome as a message; None when it failed.

    Raises NotAllowed and NotFound.
    """
    try:
        response = BatchExecutor(request.caller).execute(action, **arguments)
    except (NotAllowed, NotFound):
        raise
    except ExecutorError as error:
        messages.error(request, sentence(error))
        return None
    messages.success(request, response.message)
    return response


def sentence(error: ExecutorError) -> str:
    """Return an error as one message: the problem, the fields, and the fix."""
    fields = [f"{item['field']}: {item['reason']}" for item in error.errors[:3] if item.get("field")]
    return " ".join(filter(None, [error.message, "; ".join(fields), error.fix]))
