"""The registry of actions, and the declarations of an action for its adapters.

One file with one decorated function is a whole action: the API makes a route and an OpenAPI entry of it, the command
line a verb whose flags are its parameters, and the pages a button.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from executor.domain.states import BatchState, TaskStatus

from .call import Call, Parameters

Target = Literal["batch", "tasks"]


@dataclass(frozen=True, slots=True)
class Button:
    """A button of the pages. It calls its action with the batch, or with the selected tasks, and `arguments`.

    `fields` are the parameters that the person fills in beside it. `states` are the states of a batch, `statuses` those
    of a task, in which it has an effect. `effect` is the sentence of the confirmation before it acts on many tasks.
    With `preview` it leads to a page that shows the answer to `dry_run` first.
    """

    label: str
    target: Target = "batch"
    place: Literal["head", "menu"] = "menu"
    arguments: dict[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    states: tuple[str, ...] = tuple(BatchState.values)
    statuses: tuple[str, ...] = tuple(TaskStatus.values)
    hint: str = ""
    effect: str = ""
    is_primary: bool = False
    is_destructive: bool = False
    preview: bool = False
    action: str = ""  # the registry fills it in
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """A registered action.

    `atomic` runs it in one transaction with its audit entry; `keyed` lets it take an idempotency key; `lines` names the
    parameter that a body of JSON Lines fills.
    """

    name: str
    run: Callable[[Call, Any], Any]
    parameters: type[Parameters]
    scope: str
    summary: str
    example: dict
    audited: bool
    atomic: bool
    keyed: bool
    is_async: bool
    lines: str
    buttons: tuple[Button, ...]

    @property
    def verb(self) -> str:
        """The name of the action on the command line."""
        return self.name.replace("_", "-")

    @property
    def asks_first(self) -> bool:
        """Whether a preview and a confirmation precede the action."""
        return any(button.preview for button in self.buttons)


ACTIONS: dict[str, Action] = {}


def action(
    scope: str,
    example: dict,
    *,
    audited: bool = False,
    atomic: bool = True,
    keyed: bool = False,
    lines: str = "",
    buttons: tuple[Button, ...] | None = None,
) -> Callable[[Callable], Callable]:
    """Register `def <name>(call: Call, parameters: <model>) -> Response` as the action of its name.

    Without `buttons`, an action of the scope `control` gets one: for selected tasks if its parameters select tasks,
    else for the batch.
    """

    def register(run: Callable) -> Callable:
        name = run.__name__
        model = inspect.get_annotations(run, eval_str=True)["parameters"]
        declared = _default_buttons(name, scope, model) if buttons is None else buttons
        ACTIONS[name] = Action(
            name=name,
            run=run,
            parameters=model,
            scope=scope,
            summary=inspect.cleandoc(run.__doc__ or "").split("\n")[0],
            example=example,
            audited=audited,
            atomic=atomic,
            keyed=keyed,
            is_async=inspect.iscoroutinefunction(run),
            lines=lines,
            buttons=tuple(replace(button, action=name, scope=scope) for button in declared),
        )
        return run

    return register


def buttons(target: Target) -> list[dict[str, Any]]:
    """Return the buttons for a batch or for selected tasks, ready to be JSON."""
    return [asdict(button) for entry in ACTIONS.values() for button in entry.buttons if button.target == target]


def _default_buttons(name: str, scope: str, model: type[Parameters]) -> tuple[Button, ...]:
    if scope != "control":
        return ()
    target: Target = "tasks" if "task_ids" in model.model_fields else "batch"
    return (Button(name.replace("_", " ").capitalize(), target),)
