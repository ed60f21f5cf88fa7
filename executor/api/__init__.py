"""The JSON API: every action as `POST /api/<action>`, and what can be read as resources. Documented at `/api/docs`."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.openapi.docs import ABS_TPL_PATH, Swagger

from executor.actions import ACTIONS
from executor.domain.errors import BadRequest, ExecutorError, NotFound
from executor.domain.wording import did_you_mean

from .access import SessionCaller, TokenCaller, caller_of_request
from .actions import add_action_routes
from .knowledge import router as knowledge
from .problems import add_problem_handlers, problem
from .rendering import Renderer
from .resources import router


class Documentation(Swagger):
    """Ninja's documentation page, with its scripts from this site instead of a CDN."""

    template_cdn = str(ABS_TPL_PATH / "swagger.html")


api = NinjaAPI(
    title="Batch Executor",
    version="1",
    description="Hand over many tasks at once, let them run in parallel, and collect what they give back.\n\n"
    "[Back to the batches](/)",
    auth=[TokenCaller(), SessionCaller()],
    renderer=Renderer(),
    docs=Documentation(),
)
add_problem_handlers(api)
add_action_routes(api)
api.add_router("/knowledge", knowledge)
api.add_router("", router)


def _for_callers(view: Callable) -> Callable:
    """The description of the API, also for those who come with a token."""

    @wraps(view)
    def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        try:
            caller_of_request(request).require("read")
        except ExecutorError as error:
            return problem(error)
        return view(request, *args, **kwargs)

    return guarded


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    """An address that the API does not have."""
    asked = request.path.rstrip("/").rpartition("/")[2]
    hint = did_you_mean(asked, ACTIONS, "`POST /api/{}`") if request.method == "POST" else ""
    return problem(NotFound("There is nothing at this address.", fix=f"{hint}See /api/docs."))


def _in_words(view: Callable) -> Callable:
    """The view, answering a method that it does not have as a problem too."""

    @wraps(view)
    def answered(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if response.status_code != 405:
            return response
        methods = response.headers.get("Allow", "")
        wrong = BadRequest(f"There is no {request.method} at this address.", fix=f"It takes {methods}.")
        wrong.code, wrong.status = "method_not_allowed", 405
        told = problem(wrong)
        told["Allow"] = methods
        return told

    return answered


def _open_to_tokens(urls: tuple) -> tuple:
    """The site's views need a login by default; the API checks its callers itself, but for its documentation page."""
    patterns, app, namespace = urls
    for pattern in patterns:
        if pattern.name == "openapi-json":
            pattern.callback = _for_callers(pattern.callback)
    for pattern in patterns:
        pattern.callback = _in_words(pattern.callback)
    patterns = [*patterns, re_path("", nowhere)]
    for pattern in patterns:
        if pattern.name != "openapi-view":
            pattern.callback.login_required = False
    return patterns, app, namespace


urls = _open_to_tokens(api.urls)
