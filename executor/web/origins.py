"""Same-origin check of WebSockets: a browser sends this site's cookies also when another site's page connects."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

_DEFAULT_PORTS = {"http": 80, "https": 443}


class SameOrigin:
    """ASGI middleware that rejects WebSockets from pages of another host or port, as Django rejects their forms.

    Channels' OriginValidator rejects through a consumer, which needs Redis and fails while Redis is unavailable.
    """

    def __init__(self, application: Callable):
        self._application = application

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if is_same_origin(_header(scope, b"origin"), _header(scope, b"host")):
            return await self._application(scope, receive, send)
        await receive()
        await send({"type": "websocket.close"})  # before the handshake is accepted: answered with 403


def is_same_origin(origin: str, host: str) -> bool:
    """Return whether a page of this origin belongs to the site at this host. Browsers always send the origin."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        page = urlsplit(origin)
        site = urlsplit(f"{page.scheme}://{host}")
        ports = [url.port or _DEFAULT_PORTS.get(page.scheme) for url in (page, site)]
    except ValueError:
        return False
    if page.scheme not in _DEFAULT_PORTS or not page.hostname or page.hostname != site.hostname or ports[0] != ports[1]:
        return False
    # DNS rebinding: any name can resolve to this server, and origin and host then agree.
    name = f"[{page.hostname}]" if ":" in page.hostname else page.hostname
    return validate_host(name, settings.ALLOWED_HOSTS)


def _header(scope: dict, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
