"""What Daphne serves: pages and the API over HTTP, the live streams over WebSockets."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
django.setup()  # before anything that needs the models

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402

from executor.body_limit import BodyLimit, limit_daphne  # noqa: E402
from executor.handler import Handler  # noqa: E402
from executor.origin import SameOrigin  # noqa: E402
from executor.routing import websocket_urlpatterns  # noqa: E402

if "daphne.server" in sys.modules:
    limit_daphne(settings.BATCH_MAX_BODY)

application = ProtocolTypeRouter(
    {
        "http": BodyLimit(Handler(), settings.BATCH_MAX_BODY),
        "websocket": SameOrigin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
