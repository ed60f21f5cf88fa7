"""The content security policy: what a page may load, run and connect to."""

import secrets
from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject


class ContentSecurityMiddleware:
    """Middleware that sets `request.csp_nonce` for inline scripts, and the policy header of each response."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonces: list[str] = []

        def make_nonce() -> str:
            nonces.append(secrets.token_urlsafe(16))
            return nonces[0]

        # Most pages use no nonce, and their policy allows none.
        request.csp_nonce = SimpleLazyObject(make_nonce)  # type: ignore[attr-defined]  # for templates
        response = self.get_response(request)
        if "Content-Security-Policy" not in response:
            response["Content-Security-Policy"] = policy(request, *nonces)
        return response


def policy(request: HttpRequest, nonce: str = "") -> str:
    """Return the policy: everything from this site only; scripts are files, or carry this response's nonce."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'" if nonce else "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            f"connect-src 'self'{_websocket_origin(request)}",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _websocket_origin(request: HttpRequest) -> str:
    """Return this site's WebSocket origin: older browsers do not count it as 'self'."""
    try:
        return f" {'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
    except DisallowedHost:
        return ""
