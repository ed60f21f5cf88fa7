"""Which pages may open a WebSocket here: this site's own. Browsers send cookies along whoever asks."""

from __future__ import annotations

from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings

_PORTS = {"http": 80, "https": 443}


class SameOrigin:
    """ASGI: refuse a socket that a page of another host or port opens, as Django refuses its forms."""

    def __init__(self, inner):
        self._inner = inner

    async def __call__(self, scope, receive, send):
        if is_ours(_header(scope, b"origin"), _header(scope, b"host")):
            return await self._inner(scope, receive, send)
        return await WebsocketDenier()(scope, receive, send)


def is_ours(origin: str, host: str) -> bool:
    """Whether a page at this origin, if there is one, belongs to the site at this host."""
    if not origin or origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        page = urlsplit(origin)
        site = urlsplit(f"{page.scheme}://{host}")
        ports = [each.port or _PORTS.get(page.scheme) for each in (page, site)]
    except ValueError:
        return False
    return page.scheme in _PORTS and page.hostname == site.hostname and ports[0] == ports[1]


def _header(scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
