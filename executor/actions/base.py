"""What an action is, and what its parameters have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from executor.access import Caller
from executor.domain.errors import BadRequest
from executor.domain.states import BatchState
from executor.models import Batch
from executor.queue.locked_batch import Book
from executor.reads.task_filter import default_batch, find_batch


@dataclass(slots=True)
class Response:
    """The answer to an action: one sentence for people, data for programs; `stream` gives the bytes of an export."""

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
    """Who calls. `audit` collects what the audit log will say."""

    caller: Caller
    audit: dict[str, Any] = field(default_factory=dict)
    batch_id: Any = None

    def batch(self, named: str | None) -> Batch:
        """The batch that was named, or else the caller's default one.

        Raises NotFound, BadRequest.
        """
        if not named:
            default = default_batch(self.caller.key)
            if default is None:
                raise BadRequest(
                    "You named no batch and have no default one yet.",
                    fix="Give `batch`, or `add` a task first: that makes your default batch.",
                )
            named = str(default[0])
        found = find_batch(named)
        self.batch_id = found.batch_id
        return found

    def require_start(self, book: Book) -> None:
        """Handing in tasks is enough to start them, but not in somebody else's batch, nor against a stop.

        Raises NotAllowed.
        """
        if book.owner != self.caller.key or book.state in (BatchState.STOPPING, BatchState.STOPPED):
            self.caller.require("control")


class Parameters(BaseModel):
    """The base of every parameter model: unknown arguments are errors."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Action:
    """A registered action. `atomic` runs it in one transaction with its audit entry; `keyed` lets it take an
    idempotency key."""

    name: str
    run: Callable[[Call, Any], Response]
    parameters: type[Parameters]
    scope: str
    summary: str
    example: dict
    audited: bool
    atomic: bool
    keyed: bool
    is_async: bool


ACTIONS: dict[str, Action] = {}


def action(
    scope: str, example: dict, *, audited: bool = False, atomic: bool = True, keyed: bool = False
) -> Callable[[Callable], Callable]:
    """Register `def <name>(call: Call, parameters: <model>) -> Response` as the action of its name."""

    def register(run: Callable) -> Callable:
        name = run.__name__
        model = inspect.get_annotations(run, eval_str=True)["parameters"]
        summary = inspect.cleandoc(run.__doc__ or "").split("\n")[0]
        asynchronous = inspect.iscoroutinefunction(run)
        ACTIONS[name] = Action(name, run, model, scope, summary, example, audited, atomic, keyed, asynchronous)
        return run

    return register
