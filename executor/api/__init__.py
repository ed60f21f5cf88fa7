"""The JSON API: every action as `POST /api/<action>`, and resources to read. Documented at `/api/docs`."""

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
    description="Add many tasks at once, run them in parallel, and collect their results.\n\n[Back to the batches](/)",
    auth=[TokenCaller(), SessionCaller()],
    renderer=Renderer(),
    docs=Documentation(),
)
add_problem_handlers(api)
add_action_routes(api)
api.add_router("/knowledge", knowledge)
api.add_router("", router)


def _for_callers(view: Callable) -> Callable:
    """Serve the description of the API to callers with a token as well as to users."""

    @wraps(view)
    def guarded(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        try:
            caller_of_request(request).require("read")
        except ExecutorError as error:
            return problem(error)
        return view(request, *args, **kwargs)

    return guarded


@csrf_exempt
def not_found(request: HttpRequest) -> HttpResponse:
    """Answer an unknown path with a problem."""
    asked = request.path.rstrip("/").rpartition("/")[2]
    hint = did_you_mean(asked, ACTIONS, "`POST /api/{}`") if request.method == "POST" else ""
    return problem(NotFound("There is nothing at this address.", fix=f"{hint}See /api/docs."))


def _with_problems(view: Callable) -> Callable:
    """Return the view with a problem document for methods that it does not allow."""

    @wraps(view)
    def answered(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if response.status_code != 405:
            return response
        methods = response.headers.get("Allow", "")
        wrong = BadRequest(f"This address does not support {request.method}.", fix=f"It takes {methods}.")
        wrong.code, wrong.status = "method_not_allowed", 405
        answer = problem(wrong)
        answer["Allow"] = methods
        return answer

    return answered


def _open_to_tokens(urls: tuple) -> tuple:
    """Exempt the API from the login requirement, except its documentation page: it authenticates callers itself."""
    patterns, app, namespace = urls
    for pattern in patterns:
        if pattern.name == "openapi-json":
            pattern.callback = _for_callers(pattern.callback)
    for pattern in patterns:
        pattern.callback = _with_problems(pattern.callback)
    patterns = [*patterns, re_path("", not_found)]
    for pattern in patterns:
        if pattern.name != "openapi-view":
            pattern.callback.login_required = False
    return patterns, app, namespace


urls = _open_to_tokens(api.urls)
