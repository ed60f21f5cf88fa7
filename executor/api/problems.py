"""Errors as RFC 9457 problem documents."""

from __future__ import annotations

import logging

import orjson
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.defaults import bad_request
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as NinjaValidationError

from executor.domain.errors import BadRequest, ExecutorError, NotAllowed, NotAuthenticated, NotFound, Unavailable
from executor.web.body_limit import body_too_large

logger = logging.getLogger(__name__)


def problem(error: ExecutorError) -> HttpResponse:
    """Return the problem document of an error."""
    response = HttpResponse(orjson.dumps(error.problem()), status=error.status, content_type="application/problem+json")
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if error.status == 503:
        response["Retry-After"] = "2"
    return response


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django refuses: a problem for the API, Django's page elsewhere."""
    if not request.path.startswith("/api/"):
        return bad_request(request, exception)
    if isinstance(exception, DisallowedHost):
        fix = "Use a host name of BATCH_HOSTS, or ask an administrator to add this one."
        return problem(BadRequest("This server does not have this host name.", fix=fix))
    return problem(BadRequest("The request is malformed.", fix="See /api/docs."))


def add_problem_handlers(api: NinjaAPI) -> None:
    """Answer every exception of this API with a problem document."""

    @api.exception_handler(ExecutorError)
    def on_error(request: HttpRequest, error: ExecutorError) -> HttpResponse:
        return problem(error)

    @api.exception_handler(AuthenticationError)
    def on_missing_login(request: HttpRequest, error: Exception) -> HttpResponse:
        return problem(NotAuthenticated("You are not logged in, or your token is missing."))

    @api.exception_handler(NinjaValidationError)
    def on_wrong_query(request: HttpRequest, error: NinjaValidationError) -> HttpResponse:
        errors = [{"field": str(each["loc"][-1]), "reason": each["msg"]} for each in error.errors]
        reasons = "; ".join(f"{each['field']}: {each['reason']}" for each in errors)
        return problem(BadRequest(f"Wrong query: {reasons}.", fix="See /api/docs.", errors=errors))

    @api.exception_handler(HttpError)
    def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
        if error.status_code == 403:
            fix = "Send the CSRF token of the page as X-CSRFToken, or use a bearer token."
            return problem(NotAllowed("The CSRF token is missing or wrong.", fix=fix))
        wrong = BadRequest(str(error), fix="See /api/docs.")
        wrong.status = error.status_code
        return problem(wrong)

    @api.exception_handler(Http404)
    def on_no_such_path(request: HttpRequest, error: Http404) -> HttpResponse:
        return problem(NotFound("There is nothing at this address.", fix="See /api/docs."))

    @api.exception_handler(RequestDataTooBig)
    def on_large_body(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
        return problem(body_too_large())

    @api.exception_handler(OperationalError)
    @api.exception_handler(InterfaceError)
    def on_no_database(request: HttpRequest, error: Exception) -> HttpResponse:
        return problem(Unavailable(f"The database does not answer now ({error})."))

    @api.exception_handler(Exception)
    def on_bug(request: HttpRequest, error: Exception) -> HttpResponse:
        logger.exception("a request failed: %s %s", request.method, request.path)
        bug = ExecutorError(
            "The server failed, and the error was logged.", fix="Report the time of the request to the administrator."
        )
        bug.code, bug.status = "internal_error", 500
        return problem(bug)
