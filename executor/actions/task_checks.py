"""The door for new tasks: every item is checked before one of them is stored, and all that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import orjson
import uuid_utils
from django.conf import settings
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from executor import functions
from executor.access import Caller
from executor.domain.errors import BadTasks, NotAllowed
from executor.domain.json_text import BadLine, kind_of, to_json_text
from executor.domain.messages import NewTask
from executor.domain.parameter_types import Line, Moment, Number, PriorityName, Whole
from executor.domain.states import Priority
from executor.domain.wording import counted
from executor.models import BatchTask

REPORTED = 1_000  # bad items that an answer lists


def _id_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _json_object(value: Any) -> Any:
    """Params may come as JSON text: that is how language models often write nested arguments."""
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"must be an object, or an object as JSON text ({error})") from None
    return {} if value is None else value


class TaskItem(BaseModel):
    """One task as a caller writes it. Agents may write `tool_name` and `tool_args`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    function: Line = Field(
        validation_alias=AliasChoices("function", "tool_name", "tool"), min_length=1, description="What to run."
    )
    params: Annotated[dict[str, Any], BeforeValidator(_json_object)] = Field(
        default_factory=dict,
        validation_alias=AliasChoices("params", "tool_args", "args"),
        description="Its parameters.",
    )
    name: Line = Field("", description="A name for people.")
    priority: PriorityName = Field(Priority.MEDIUM, description="critical, high, medium or low.")
    max_retries: Whole = Field(3, ge=0, le=1000, description="Attempts after the first one that fails.")
    retry_delay: Number = Field(1.0, ge=0, le=86_400, description="Seconds before the first retry, doubled each time.")
    timeout: Number | None = Field(None, gt=0, le=604_800, description="Seconds after which an attempt is killed.")
    run_at: Moment | None = Field(
        None, validation_alias=AliasChoices("run_at", "run_after"), description="Not before this time (ISO 8601)."
    )
    custom_id: Annotated[Line | None, BeforeValidator(_id_text)] = Field(
        None, min_length=1, description="Your own id, unique within the batch."
    )


# Each other name of a field, and the field.
_FIELD_OF = {
    alias: name
    for name, field in TaskItem.model_fields.items()
    if isinstance(field.validation_alias, AliasChoices)
    for alias in field.validation_alias.choices
}


_CALL_FIELDS = ("function", "params")
_FIX_OF_ONE = "Correct what `errors` names and send it again; nothing was stored."


def check(
    items: Iterable[Any], caller: Caller, defaults: dict[str, Any] | None = None, owner: str | None = None
) -> list[NewTask]:
    """The tasks of these items, in order, for a batch of that owner, or else of the caller.

    Raises BadTasks with every bad item, NotAllowed when a function needs a scope that the caller has not, or works with
    what belongs to somebody else.
    """
    tasks: list[NewTask] = []
    errors: list[dict] = []
    custom_ids: dict[str, int] = {}
    wrong = index = 0
    for index, item in enumerate(items):
        if index >= settings.BATCH_MAX_TASKS:
            raise BadTasks(f"A call takes at most {settings.BATCH_MAX_TASKS:,} tasks.", fix="Send more calls.")
        task, problems = _check_one(item, defaults, caller, owner or caller.key)
        if task is not None and task.custom_id is not None:
            first = custom_ids.setdefault(task.custom_id, index)
            if first != index:
                problems = [("custom_id", f"is also the custom_id of item {first}")]
        if problems:
            wrong += 1
            custom_id = _shown_id(item)
            place = {"line": item.line} if isinstance(item, BadLine) else {}
            errors += [
                {"index": index, **place, "custom_id": custom_id, "field": field, "reason": reason}
                for field, reason in problems
            ]
        elif not wrong:
            tasks.append(task)
    if wrong:
        more = f" The first {REPORTED:,} are listed." if len(errors) > REPORTED else ""
        verb = "is" if wrong == 1 else "are"
        detail = f"{wrong:,} of {counted(index + 1, 'task')} {verb} wrong.{more}"
        raise BadTasks(detail, fix="" if index else _FIX_OF_ONE, errors=errors[:REPORTED])
    if not tasks:
        raise BadTasks("There are no tasks in this call.", fix="Give at least one item in `tasks`.")
    return tasks


def _check_one(
    item: Any, defaults: dict[str, Any] | None, caller: Caller, owner: str
) -> tuple[NewTask | None, list[tuple[str, str]]]:
    if not isinstance(item, dict):
        return None, [("", item.reason if isinstance(item, BadLine) else f"must be an object, not {kind_of(item)}")]
    try:
        spec = TaskItem.model_validate(_with_defaults(item, defaults) if defaults else item)
    except ValidationError as error:
        problems = [_in_words(problem) for problem in error.errors(include_url=False)]
        return None, [*problems, *_params_problems(item, defaults)]
    params, problem = to_json_text(spec.params)
    if problem:
        return None, [("params", problem)]
    if problems := functions.validate(spec.function, spec.params):
        return None, problems
    # Also of the one that is called in the end: going through custom_function saves nobody a scope.
    called = functions.lookup(spec.function), functions.resolve(spec.function, spec.params)[0]
    scope = next((each.scope for each in called if each.scope and each.scope not in caller.scopes), "")
    if scope:
        raise NotAllowed(
            f"{spec.function} needs the scope {scope!r}, which {caller.name} does not have.",
            fix="Ask an administrator for a token with that scope.",
        )
    if owner != caller.key and any(each.personal for each in called):
        raise NotAllowed(
            f"{spec.function} works with what belongs to the batch's owner, and that is not {caller.name}.",
            fix="Add it to a batch of your own.",
        )
    task = NewTask(
        task_id=f"{uuid_utils.uuid7().int:032x}",
        function=spec.function,
        params=params,
        name=spec.name,
        custom_id=spec.custom_id,
        priority=spec.priority,
        max_retries=spec.max_retries,
        retry_delay=spec.retry_delay,
        timeout=spec.timeout,
        run_after=spec.run_at,
    )
    return task, []


def _params_problems(item: dict, defaults: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What is wrong with the parameters of a task with which other things are wrong, so that both are told at once."""
    whole = _with_defaults(item, defaults or {})
    call = {name: value for name, value in whole.items() if _FIELD_OF.get(name) in _CALL_FIELDS}
    try:
        spec = TaskItem.model_validate(call)
    except ValidationError:
        return []  # that was told
    _, problem = to_json_text(spec.params)
    return [("params", problem)] if problem else functions.validate(spec.function, spec.params)


def _with_defaults(item: dict, defaults: dict[str, Any]) -> dict:
    """The item with the defaults of what it does not say, under whichever name."""
    said = {_FIELD_OF.get(name, name) for name in item}
    return {**{name: value for name, value in defaults.items() if _FIELD_OF.get(name, name) not in said}, **item}


def _shown_id(item: Any) -> str | None:
    """The custom id of a wrong item as an answer can carry it, however wrong it is itself."""
    custom_id = item.get("custom_id") if isinstance(item, dict) else None
    if isinstance(custom_id, int) and custom_id.bit_length() <= 64:
        return str(custom_id)
    return custom_id[:200].encode("utf-8", "backslashreplace").decode() if isinstance(custom_id, str) else None


def _in_words(problem: dict) -> tuple[str, str]:
    field = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return field, f"unknown field; known are {', '.join(TaskItem.model_fields)}"
    return field, problem["msg"].removeprefix("Value error, ")


def refuse_taken_ids(batch_id, tasks: Sequence[NewTask]) -> None:
    """Raises BadTasks when a custom id exists in the batch already. Called under the batch's lock."""
    wanted = {task.custom_id: index for index, task in enumerate(tasks) if task.custom_id is not None}
    if not wanted:
        return
    errors = []
    ids = list(wanted)
    for start in range(0, len(ids), 1000):
        taken = BatchTask.objects.filter(batch_id=batch_id, custom_id__in=ids[start : start + 1000])
        for custom_id, number in taken.values_list("custom_id", "number"):
            reason = f"task {number} of the batch has this custom_id"
            errors.append({"index": wanted[custom_id], "custom_id": custom_id, "field": "custom_id", "reason": reason})
    if errors:
        errors.sort(key=lambda error: error["index"])
        raise BadTasks(f"{len(errors)} custom ids exist in the batch already.", errors=errors[:REPORTED])


def uuid_text(task_id: str) -> str:
    """32 hex digits as a UUID is written."""
    return f"{task_id[:8]}-{task_id[8:12]}-{task_id[12:16]}-{task_id[16:20]}-{task_id[20:]}"
