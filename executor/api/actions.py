"""`POST /api/<action>` for each action, and `POST /api/execute` for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from django.http.request import RawPostDataException, UnreadablePostError
from django.http.response import HttpResponseBase
from ninja import NinjaAPI

from executor.actions import ACTIONS, Action, BatchExecutor
from executor.api.access import ApiRequest
from executor.domain.errors import BadRequest
from executor.domain.json_text import kind_of, read_lines

from .rendering import answer

JSON, JSONL = "application/json", "application/x-ndjson"


def add_action_routes(api: NinjaAPI) -> None:
    """Add a route for each action, documented with its parameters."""
    for entry in ACTIONS.values():
        documented = api.post(
            f"/{entry.name}",
            operation_id=entry.name,
            summary=entry.summary,
            tags=["actions"],
            openapi_extra=_documented(entry),
        )
        documented(_route(entry))

    @api.post(
        "/execute",
        operation_id="execute",
        summary="Any action, named by `action`.",
        tags=["actions"],
        openapi_extra={"requestBody": _body({"type": "object", "required": ["action"]}, {"action": "status"})},
    )
    def execute(request: ApiRequest) -> HttpResponseBase:
        arguments = _arguments(request)
        action = arguments.pop("action", None)
        if not isinstance(action, str):
            raise BadRequest("`action` is missing.", fix=f"Actions: {', '.join(sorted(ACTIONS))}.")
        return answer(BatchExecutor(request.auth).call(action, _with_key(request, action, arguments)))


def _route(entry: Action) -> Callable:
    def route(request: ApiRequest) -> HttpResponseBase:
        if entry.lines and request.content_type == JSONL:
            values = (value for _, value in read_lines(_body_lines(request)))
            arguments: dict[str, Any] = {**request.GET.dict(), entry.lines: values}
        else:
            arguments = _arguments(request)
        return answer(BatchExecutor(request.auth).call(entry.name, _with_key(request, entry.name, arguments)))

    route.__name__ = entry.name
    return route


def _arguments(request: ApiRequest) -> dict[str, Any]:
    """Return the JSON object of the body; an empty body has no arguments."""
    if request.GET:
        fix = "Send them as one JSON object."
        raise BadRequest("The arguments of an action must be in the body, not in the query.", fix=fix)
    try:
        body = request.body
    except (UnreadablePostError, RawPostDataException):
        raise BadRequest("The body ended too early.", fix="Send all of it.") from None
    if not body:
        return {}
    if request.content_type != JSON:
        wrong = BadRequest(f"The content type must be {JSON}.", fix=f"Send `Content-Type: {JSON}`.")
        wrong.status = 415
        raise wrong
    try:
        arguments = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError) as error:
        fix = "Send the arguments as one JSON object; NaN and Infinity are not JSON."
        raise BadRequest(f"The body is not JSON: {error}.", fix=fix) from None
    if not isinstance(arguments, dict):
        fix = "Send the arguments as one JSON object."
        raise BadRequest(f"The body must be an object, not {kind_of(arguments)}.", fix=fix)
    return arguments


def _body_lines(request: ApiRequest) -> Iterator[bytes]:
    try:
        yield from request
    except UnreadablePostError:
        raise BadRequest("The body ended too early.", fix="Send all of it.") from None


def _with_key(request: ApiRequest, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    key = request.headers.get("Idempotency-Key")
    entry = ACTIONS.get(action)
    if key and entry is not None and entry.keyed:
        return {"idempotency_key": key, **arguments}
    return arguments


def _documented(entry: Action) -> dict:
    schema = entry.parameters.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    ok = {"type": "object", "properties": {"ok": {"type": "boolean"}, "message": {"type": "string"}, "data": {}}}
    return {
        "requestBody": _body(schema, entry.example),
        "responses": {
            200: {"description": "Done.", "content": {JSON: {"schema": ok}}},
            **{code: {"description": what, "content": {"application/problem+json": {}}} for code, what in _PROBLEMS},
        },
    }


_PROBLEMS = (
    (400, "The arguments are wrong; `errors` lists every mistake."),
    (401, "No valid token or login."),
    (403, "The scope is missing."),
    (404, "There is no such batch or task."),
    (409, "The state, or an earlier call with the same key, forbids it."),
)


def _body(schema: dict, example: dict) -> dict:
    return {"required": True, "content": {JSON: {"schema": schema, "example": example}}}
