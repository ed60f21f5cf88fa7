"""Authentication of the API: a token in the Authorization header, or a session with CSRF protection."""

from django.http import HttpRequest
from ninja.security import HttpBearer
from ninja.security.session import SessionAuth

from executor.access import Caller, caller_of_token, caller_of_user


class ApiRequest(HttpRequest):
    """A request whose caller ninja has authenticated."""

    auth: Caller


class TokenCaller(HttpBearer):
    """`Authorization: Bearer bx_…`. An invalid token is refused, also if the request has a session cookie."""

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        return caller_of_token(token)


class SessionCaller(SessionAuth):
    """The browser's session cookie, with Django's CSRF check."""

    def __call__(self, request: HttpRequest) -> Caller | None:
        # Without a login the answer must not be that a CSRF token is missing.
        return super().__call__(request) if request.user.is_authenticated else None

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        return caller_of_user(request.user) if key and request.user.is_authenticated else None


def caller_of_request(request: HttpRequest) -> Caller:
    """Return the caller of a request, by token or by session.

    Raises NotAuthenticated.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return caller_of_token(token) if scheme.lower() == "bearer" else caller_of_user(request.user)
