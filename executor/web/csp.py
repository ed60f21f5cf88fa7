"""The content security policy: what a page of ours may load, run and talk to."""

import secrets

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject


class ContentSecurityMiddleware:
    """Gives templates `request.csp_nonce` for the few inline scripts they need, and every answer its policy."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest):
        if iscoroutinefunction(self.get_response):
            return self._asynchronous(request)
        nonce = _lend_nonce(request)
        return _with_policy(request, self.get_response(request), nonce)

    async def _asynchronous(self, request: HttpRequest) -> HttpResponse:
        nonce = _lend_nonce(request)
        return _with_policy(request, await self.get_response(request), nonce)


def _lend_nonce(request: HttpRequest) -> list[str]:
    """Set `request.csp_nonce`, made when it is first used; the returned list holds it from then on."""
    made: list[str] = []

    def make() -> str:
        made.append(secrets.token_urlsafe(16))
        return made[0]

    request.csp_nonce = SimpleLazyObject(make)
    return made


def _with_policy(request: HttpRequest, response: HttpResponse, nonce: list[str]) -> HttpResponse:
    if "Content-Security-Policy" not in response:
        response["Content-Security-Policy"] = policy(request, *nonce)
    return response


def policy(request: HttpRequest, nonce: str = "") -> str:
    """Everything comes from this site. Scripts are files, or carry the nonce of the one answer they came in."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'" if nonce else "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            f"connect-src 'self'{_sockets(request)}",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _sockets(request: HttpRequest) -> str:
    """This site's WebSockets by name: older browsers do not count them as 'self'."""
    try:
        return f" {'wss' if request.is_secure() else 'ws'}://{request.get_host()}"
    except DisallowedHost:
        return ""
