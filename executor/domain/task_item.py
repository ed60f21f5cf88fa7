"""The fields of a task, in one model.

`add`, the items of `add_batch`, the form, the flags of the command line, the insert, the OpenAPI document, what lists
and exports show, and the page of a task are made from it. `title` is a field's label, `description` its help.
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from .parameter_types import PRIORITY_NAMES, Line, Moment, Number, PriorityName, Whole
from .states import Priority


def _id_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _json_object(value: Any) -> Any:
    """Accept params as JSON text too: language models often write nested arguments like that."""
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
        validation_alias=AliasChoices("function", "tool_name", "tool"),
        min_length=1,
        title="Function",
        description="The task function to run; `GET /api/functions` lists all of them.",
    )
    params: Annotated[dict[str, Any], BeforeValidator(_json_object, json_schema_input_type=dict[str, Any] | str)] = (
        Field(
            default_factory=dict,
            validation_alias=AliasChoices("params", "tool_args", "args"),
            title="Parameters",
            description="Its parameters.",
        )
    )
    name: Line = Field("", title="Name", description="A name for people.")
    priority: PriorityName = Field(
        Priority.MEDIUM,
        title="Priority",
        description=f"{', '.join(PRIORITY_NAMES[:-1])} or {PRIORITY_NAMES[-1]}.",
        json_schema_extra={"default": Priority.MEDIUM.label, "enum": list(PRIORITY_NAMES)},
    )
    max_retries: Whole = Field(
        3, ge=0, le=1000, title="Retries", description="Attempts after the first one that fails."
    )
    retry_delay: Number = Field(
        1.0,
        ge=0,
        le=86_400,
        title="Retry delay",
        description="Seconds before the first retry, doubled for each further one; 0: at once.",
    )
    timeout: Number | None = Field(
        None,
        gt=0,
        le=604_800,
        title="Timeout",
        description="Seconds after which an attempt is killed; without it the limit of the workers applies.",
    )
    run_at: Moment | None = Field(
        None,
        validation_alias=AliasChoices("run_at", "run_after"),
        title="Not before",
        description="The earliest start: date and time (ISO 8601); without a zone it is UTC.",
    )
    custom_id: Annotated[Line | None, BeforeValidator(_id_text, json_schema_input_type=str | int | None)] = Field(
        None, min_length=1, title="Custom id", description="Your own id, unique within the batch."
    )


# A field is stored in the column of its name, but for this one.
_COLUMN = {"run_at": "run_after"}

# Field → the column that it is stored in.
COLUMN_OF = {name: _COLUMN.get(name, name) for name in TaskItem.model_fields}

# Every name under which a field is accepted → the field.
FIELD_OF = {
    **{name: name for name in TaskItem.model_fields},
    **{
        str(alias): name
        for name, field in TaskItem.model_fields.items()
        if isinstance(field.validation_alias, AliasChoices)
        for alias in field.validation_alias.choices
    },
}
