"""The call of an action: the caller, the parameters, the response."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from executor.access import Caller
from executor.domain.errors import BadRequest, ExecutorError
from executor.domain.states import BatchState
from executor.domain.wording import did_you_mean
from executor.models import Batch
from executor.queue.locked_batch import LockedBatch
from executor.reads.lookups import default_batch, find_batch


@dataclass(slots=True)
class Response:
    """The answer to an action: one sentence for people, data for programs; `stream` yields the bytes of an export."""

    ok: bool
    message: str
    data: dict[str, Any] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None
    content_type: str = "application/json"
    filename: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, "message": self.message, "data": self.data}


@dataclass(slots=True)
class Call:
    """One call of an action. `audit` collects the details of its audit entry."""

    caller: Caller
    audit: dict[str, Any] = field(default_factory=dict)
    batch_id: UUID | None = None

    def batch(self, name: str | None) -> Batch:
        """Return the batch of this id or name, or without one the caller's default batch.

        Raises NotFound, BadRequest.
        """
        if not name:
            default = default_batch(self.caller.key)
            if default is None:
                raise BadRequest(
                    "No batch is named, and you have no default batch yet.",
                    fix="Give `batch`, or `add` a task first: that makes your default batch.",
                )
            name = str(default[0])
        found = find_batch(name)
        self.batch_id = found.batch_id
        return found

    def require_start(self, batch: LockedBatch) -> None:
        """Require the scope `control` to start a batch of another owner, or one that was stopped.

        Otherwise the scope `submit`, with which tasks are added, is enough to start them.

        Raises NotAllowed.
        """
        if batch.owner != self.caller.key or batch.state in (BatchState.STOPPING, BatchState.STOPPED):
            self.caller.require("control")


class Parameters(BaseModel):
    """The base of every parameter model: unknown arguments are errors."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    @classmethod
    def refusal(cls, action: str, error: ValidationError, arguments: dict[str, Any]) -> ExecutorError:
        """Return the error that lists every wrong argument of a call."""
        errors = []
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for problem in error.errors(include_url=False):
            where = ".".join(map(str, problem["loc"])) or "arguments"
            reason = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                hint = did_you_mean(where, known).strip().lower()
                reason = f"unknown argument; {hint}" if hint else "unknown argument"
            errors.append({"field": where, "reason": reason})
        listed = "; ".join(f"{each['field']}: {each['reason']}" for each in errors[:5])
        stop = "" if listed.endswith(("?", ".")) else "."
        fix = f"{action} takes: {', '.join(known)}."
        return BadRequest(f"Wrong arguments for {action}: {listed}{stop}", errors=errors, fix=fix)
