"""What Daphne serves: pages and the API over HTTP, the live streams over WebSockets."""

import gc
import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
django.setup()  # before anything that needs the models

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402

from executor.web.asgi_handler import Handler  # noqa: E402
from executor.web.backpressure import pace_daphne  # noqa: E402
from executor.web.body_limit import BodyLimit, limit_daphne  # noqa: E402
from executor.web.origins import SameOrigin  # noqa: E402
from executor.web.routing import websocket_urlpatterns  # noqa: E402

from . import urls  # noqa: E402, F401 - every view now, and not with the first request

if "daphne.server" in sys.modules:
    limit_daphne(settings.BATCH_MAX_BODY)
    pace_daphne()

application = ProtocolTypeRouter(
    {
        "http": BodyLimit(Handler(), settings.BATCH_MAX_BODY),
        "websocket": SameOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)

# What is loaded by now stays. To look through all of it for garbage would hold up every request for 50 ms.
gc.collect()
gc.freeze()
