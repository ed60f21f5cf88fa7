"""Validation of new tasks: every item is checked before any is stored, and all mistakes are reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import uuid_utils
from django.conf import settings
from pydantic import ValidationError

from executor import functions
from executor.access import Caller
from executor.domain.errors import BadTasks, NotAllowed
from executor.domain.json_text import BadLine, kind_of, to_json_text
from executor.domain.new_task import NewTask
from executor.domain.task_item import FIELD_OF, TaskItem
from executor.domain.wording import counted
from executor.models import BatchTask
from executor.reads.lookups import IDS_PER_QUERY

MAX_REPORTED = 1_000  # mistakes that an answer lists

Problems = list[tuple[str, str]]  # (field, reason)

_FIX_OF_ONE = "Correct what `errors` names and send it again; nothing was stored."
_FUNCTION_CALL = ("function", "params")


def validate_items(
    items: Iterable[Any], caller: Caller, defaults: dict[str, Any] | None = None, owner: str | None = None
) -> list[NewTask]:
    """Return the tasks of these items, in order, for a batch of that owner or else of the caller.

    An item is what a caller wrote, or a TaskItem, whose fields have been validated.

    Raises BadTasks with every mistake; NotAllowed when a function needs a scope that the caller has not, or works with
    what belongs to another owner.
    """
    tasks: list[NewTask] = []
    errors: list[dict] = []
    custom_ids: dict[str, int] = {}
    wrong = index = 0
    for index, item in enumerate(items):
        if index >= settings.BATCH_MAX_TASKS:
            raise BadTasks(f"A call takes at most {settings.BATCH_MAX_TASKS:,} tasks.", fix="Send more calls.")
        task, problems = _validate(item, defaults, caller, owner or caller.key)
        if task is not None and task.custom_id is not None:
            first = custom_ids.setdefault(task.custom_id, index)
            if first != index:
                problems = [("custom_id", f"is also the custom_id of item {first}")]
        if problems:
            wrong += 1
            errors += _reported(index, item, problems)
        elif not wrong and task is not None:
            tasks.append(task)
    if wrong:
        raise _bad_tasks(wrong, index + 1, errors)
    if not tasks:
        raise BadTasks("There are no tasks in this call.", fix="Give at least one item in `tasks`.")
    return tasks


def refused_item(item: dict[str, Any], error: ValidationError) -> BadTasks:
    """Return the error of a single item whose fields are wrong."""
    problems = [*_field_problems(error), *_params_problems(item, {})]
    return _bad_tasks(1, 1, _reported(0, item, problems))


def reject_taken_custom_ids(batch_id: UUID, tasks: Sequence[NewTask]) -> None:
    """Raise BadTasks when a custom id exists in the batch already. The batch must be locked."""
    wanted = {task.custom_id: index for index, task in enumerate(tasks) if task.custom_id is not None}
    errors: list[dict[str, Any]] = []
    ids = list(wanted)
    for start in range(0, len(ids), IDS_PER_QUERY):
        taken = BatchTask.objects.filter(batch_id=batch_id, custom_id__in=ids[start : start + IDS_PER_QUERY])
        for custom_id, number in taken.values_list("custom_id", "number"):
            reason = f"task {number} of the batch has this custom_id"
            index = wanted[str(custom_id)]
            errors.append({"index": index, "custom_id": custom_id, "field": "custom_id", "reason": reason})
    if errors:
        errors.sort(key=lambda error: error["index"])
        raise BadTasks(f"{len(errors)} custom ids exist in the batch already.", errors=errors[:MAX_REPORTED])


# --- one item ---------------------------------------------------------------------------------------------


def _validate(
    item: Any, defaults: dict[str, Any] | None, caller: Caller, owner: str
) -> tuple[NewTask | None, Problems]:
    if not isinstance(item, TaskItem):
        if not isinstance(item, dict):
            return None, [("", item.reason if isinstance(item, BadLine) else f"must be an object, not {kind_of(item)}")]
        try:
            item = TaskItem.model_validate(_with_defaults(item, defaults) if defaults else item)
        except ValidationError as error:
            return None, [*_field_problems(error), *_params_problems(item, defaults or {})]
    params, problem = to_json_text(item.params)
    if problem:
        return None, [("params", problem)]
    if problems := functions.validate(item.function, item.params):
        return None, problems
    _require_rights(item, caller, owner)
    return NewTask.of(UUID(int=uuid_utils.uuid7().int), item, params), []


def _require_rights(item: TaskItem, caller: Caller, owner: str) -> None:
    """Raise NotAllowed unless the caller may call the function, and the function that it delegates to."""
    called = functions.lookup(item.function), functions.resolve(item.function, item.params)[0]
    scope = next((each.scope for each in called if each.scope and each.scope not in caller.scopes), "")
    if scope:
        raise NotAllowed(
            f"{item.function} needs the scope {scope!r}, which {caller.name} does not have.",
            fix="Ask an administrator for a token with that scope.",
        )
    if owner != caller.key and any(each.personal for each in called):
        raise NotAllowed(
            f"{item.function} works with data of the batch's owner, and the owner is not {caller.name}.",
            fix="Add it to a batch of your own.",
        )


def _with_defaults(item: dict, defaults: dict[str, Any]) -> dict:
    """Return the item with the defaults of the fields that it does not give under any of their names."""
    given = {FIELD_OF.get(name, name) for name in item}
    return {**{name: value for name, value in defaults.items() if FIELD_OF.get(name, name) not in given}, **item}


# --- mistakes ---------------------------------------------------------------------------------------------


def _bad_tasks(wrong: int, total: int, errors: list[dict]) -> BadTasks:
    more = f" The first {MAX_REPORTED:,} are listed." if len(errors) > MAX_REPORTED else ""
    message = f"{wrong:,} of {counted(total, 'task')} {'is' if wrong == 1 else 'are'} wrong.{more}"
    return BadTasks(message, fix=_FIX_OF_ONE if total == 1 else "", errors=errors[:MAX_REPORTED])


def _reported(index: int, item: Any, problems: Problems) -> list[dict]:
    place = {"line": item.line} if isinstance(item, BadLine) else {}
    custom_id = _printable_id(item)
    return [
        {"index": index, **place, "custom_id": custom_id, "field": field, "reason": reason}
        for field, reason in problems
    ]


def _printable_id(item: Any) -> str | None:
    """Return the custom id of a wrong item as an answer can carry it, however wrong it is itself."""
    custom_id = item.get("custom_id") if isinstance(item, dict) else getattr(item, "custom_id", None)
    if isinstance(custom_id, int) and custom_id.bit_length() <= 64:
        return str(custom_id)
    return custom_id[:200].encode("utf-8", "backslashreplace").decode() if isinstance(custom_id, str) else None


def _field_problems(error: ValidationError) -> Problems:
    return [_problem(problem) for problem in error.errors(include_url=False)]


def _problem(problem: Any) -> tuple[str, str]:
    field = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return field, f"unknown field; known are {', '.join(TaskItem.model_fields)}"
    return field, problem["msg"].removeprefix("Value error, ")


def _params_problems(item: dict, defaults: dict[str, Any]) -> Problems:
    """Return the mistakes in the parameters of an item whose other fields are wrong too, to report both at once."""
    whole = _with_defaults(item, defaults)
    call = {name: value for name, value in whole.items() if FIELD_OF.get(name) in _FUNCTION_CALL}
    try:
        valid = TaskItem.model_validate(call)
    except ValidationError:
        return []  # reported with the other fields
    _, problem = to_json_text(valid.params)
    return [("params", problem)] if problem else functions.validate(valid.function, valid.params)
