"""What all pages share: who asks, what they may do, and how an error becomes a page or a message."""

from __future__ import annotations

from functools import wraps

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from executor.access import caller_of_user
from executor.actions import BatchExecutor, Response
from executor.domain.errors import ExecutorError, NotAllowed, NotFound


def page(view):
    """A view for those who may read. NotFound and NotAllowed become their error pages."""

    @wraps(view)
    def shown(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        request.caller = caller_of_user(request.user)
        try:
            request.caller.require("read")
            return view(request, *args, **kwargs)
        except NotFound as error:
            raise Http404(error.message) from error
        except NotAllowed as error:
            raise PermissionDenied(error.message) from error
        except ExecutorError as error:
            return show(request, "executor/problem.html", error=error, status=error.status)

    return shown


def show(request: HttpRequest, template: str, *, status: int = 200, **context) -> HttpResponse:
    scopes = getattr(request, "caller", None) and request.caller.scopes
    return render(request, template, {"scopes": scopes or (), **context}, status=status)


def execute(request: HttpRequest, action: str, **arguments) -> Response | None:
    """Do the action and tell the outcome as a message; None when it was refused. Raises NotAllowed, NotFound."""
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
    """The error in the words of one message: what is wrong, where, and what to do."""
    places = [f"{item['field']}: {item['reason']}" for item in error.errors[:3] if item.get("field")]
    return " ".join(filter(None, [error.message, "; ".join(places), error.fix]))
