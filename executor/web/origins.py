"""Which pages may open a WebSocket here: this site's own. Browsers send cookies along whoever asks."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

_PORTS = {"http": 80, "https": 443}


class SameOrigin:
    """ASGI: refuse a socket that a page of another host or port opens, as Django refuses its forms. Channels' own
    check does it with a consumer, which asks for Redis first, and fails when it is away."""

    def __init__(self, inner):
        self._inner = inner

    async def __call__(self, scope, receive, send):
        if is_ours(_header(scope, b"origin"), _header(scope, b"host")):
            return await self._inner(scope, receive, send)
        await receive()
        await send({"type": "websocket.close"})  # before it was accepted: the handshake is answered with 403


def is_ours(origin: str, host: str) -> bool:
    """Whether a page at this origin belongs to the site at this host. Browsers always name the origin."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        page = urlsplit(origin)
        site = urlsplit(f"{page.scheme}://{host}")
        ports = [each.port or _PORTS.get(page.scheme) for each in (page, site)]
    except ValueError:
        return False
    if page.scheme not in _PORTS or not page.hostname or page.hostname != site.hostname or ports[0] != ports[1]:
        return False
    # A page of any name could have that name lead to us, and be at the host that it asks: it has to be one of ours.
    name = f"[{page.hostname}]" if ":" in page.hostname else page.hostname
    return validate_host(name, settings.ALLOWED_HOSTS)


def _header(scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
