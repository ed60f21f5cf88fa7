"""The JSON API: every action as `POST /api/<action>`, and what can be read as resources. Documented at `/api/docs`."""

from ninja import NinjaAPI

from .access import SessionCaller, TokenCaller
from .actions import add_action_routes
from .knowledge import router as knowledge
from .problems import add_problem_handlers
from .rendering import Renderer
from .resources import router

api = NinjaAPI(
    title="Batch Executor",
    version="1",
    description="Hand over many tasks at once, let them run in parallel, and collect what they give back.",
    auth=[TokenCaller(), SessionCaller()],
    renderer=Renderer(),
)
add_problem_handlers(api)
add_action_routes(api)
api.add_router("/knowledge", knowledge)
api.add_router("", router)


def _open_to_tokens(urls: tuple) -> tuple:
    """The site's views need a login by default; the API checks its callers itself. Its documentation does not."""
    for pattern in urls[0]:
        if pattern.name not in ("openapi-view", "openapi-json"):
            pattern.callback.login_required = False
    return urls


urls = _open_to_tokens(api.urls)
