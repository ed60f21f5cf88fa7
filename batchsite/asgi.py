"""The ASGI application for Daphne: pages and the API over HTTP, live streams over WebSockets."""

import gc
import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
django.setup()  # before anything that needs the models

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402

from executor.web.asgi_handler import ThreadedASGIHandler  # noqa: E402
from executor.web.origins import SameOrigin  # noqa: E402
from executor.web.routing import websocket_urlpatterns  # noqa: E402

from . import urls  # noqa: E402, F401 - loads every view now instead of with the first request

http_application: Any = ThreadedASGIHandler()
if "daphne.server" in sys.modules:
    from executor.web import daphne_limits

    daphne_limits.install()
    http_application = daphne_limits.Backpressure(http_application)

application = ProtocolTypeRouter(
    {
        "http": http_application,
        "websocket": SameOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)

# All that is loaded by now stays: a full garbage collection of it would delay requests by 50 ms.
gc.collect()
gc.freeze()
