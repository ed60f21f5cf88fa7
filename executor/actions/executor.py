"""BatchExecutor: the entry point to the actions for every adapter."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.utils import timezone
from pydantic import ValidationError

from executor.access import Caller
from executor.db.dialect import to_db_id, to_db_time
from executor.db.statements import execute
from executor.db.write_lock import write_lock
from executor.domain.errors import BadRequest, Conflict, Unavailable
from executor.domain.wording import did_you_mean
from executor.models import IdempotentCall
from executor.queue import dispatch

from .call import Call, Parameters, Response
from .registry import ACTIONS, Action

# Every `add` writes one; the ORM takes three times as long.
_AUDIT = "INSERT INTO executor_auditentry (at, actor, action, batch_id, detail) VALUES (%s, %s, %s, %s, %s)"


class BatchExecutor:
    """The actions for one caller. Their errors are ExecutorErrors, after which nothing has changed."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def execute(self, /, action: str, **kwargs) -> Response:
        """Run an action; see `call`."""
        return self.call(action, kwargs)

    def call(self, action: str, arguments: dict[str, Any]) -> Response:
        """Run an action with arguments that come from outside.

        Raises BadRequest for an unknown action or wrong arguments, NotAllowed, and what the action raises.
        """
        entry, parameters = self._prepare(action, arguments)
        if entry.is_async:
            return async_to_sync(entry.run)(Call(self.caller), parameters)
        return self._run(entry, parameters)

    def _prepare(self, name: str, kwargs: dict[str, Any]) -> tuple[Action, Parameters]:
        entry = ACTIONS.get(name)
        if entry is None:
            hint = did_you_mean(str(name), ACTIONS)
            raise BadRequest(f"There is no action {name!r}.", fix=f"{hint}Actions: {', '.join(sorted(ACTIONS))}.")
        self.caller.require(entry.scope)
        try:
            return entry, entry.parameters.model_validate(kwargs)
        except ValidationError as error:
            raise entry.parameters.refusal(name, error, kwargs) from None

    def _run(self, entry: Action, parameters: Parameters) -> Response:
        call = Call(self.caller)
        dispatch.delayed.set(False)
        try:
            if not entry.atomic:
                response = entry.run(call, parameters)
                self._audit(entry, call)
            else:
                with write_lock(), transaction.atomic():
                    response = self._once(entry, call, parameters)
        except (OperationalError, InterfaceError) as error:
            raise Unavailable(f"The database does not answer now ({error}).") from error
        if dispatch.delayed.get():
            response.data["dispatch"] = "delayed"
        return response

    def _once(self, entry: Action, call: Call, parameters: Parameters) -> Response:
        """Run the action, or return the stored answer of an earlier call with the same key and arguments."""
        key = getattr(parameters, "idempotency_key", None) if entry.keyed else None
        if not key:
            response = entry.run(call, parameters)
            self._audit(entry, call)
            return response
        fingerprint = _fingerprint(entry, parameters)
        record = IdempotentCall(owner=self.caller.key, key=key, fingerprint=fingerprint, answer="")
        try:
            with transaction.atomic():
                # Inserted first: of two concurrent calls the second one waits here until the first has its answer.
                record.save(force_insert=True)
        except IntegrityError:
            earlier = IdempotentCall.objects.get(owner=self.caller.key, key=key)
            if earlier.fingerprint != fingerprint:
                raise Conflict(
                    f"The idempotency key {key!r} was used for another call.",
                    fix="Use a new key for a new call; repeat the same arguments to get the same answer.",
                ) from None
            return Response(**orjson.loads(earlier.answer))
        response = entry.run(call, parameters)
        self._audit(entry, call)
        record.answer = orjson.dumps(response.as_dict()).decode()
        record.save(update_fields=["answer"])
        return response

    def _audit(self, entry: Action, call: Call) -> None:
        if entry.audited:
            actor = f"{self.caller.key} {self.caller.name}"[:100]
            batch_id = call.batch_id and to_db_id(call.batch_id)
            detail = orjson.dumps(call.audit).decode()
            execute(_AUDIT, [to_db_time(timezone.now()), actor, entry.name, batch_id, detail])


def _fingerprint(entry: Action, parameters: Parameters) -> str:
    """Return the identity of a repeated call: the action and its validated arguments.

    Raises BadRequest for arguments that cannot be written as JSON.
    """
    arguments = {name: getattr(parameters, name) for name in parameters.model_fields_set - {"idempotency_key"}}
    try:
        text = orjson.dumps([entry.name, arguments], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        fix = "Use texts, numbers, booleans, null, lists and objects only."
        raise BadRequest(f"The arguments cannot be written as JSON: {error}.", fix=fix) from None
    return hashlib.sha256(text).hexdigest()
