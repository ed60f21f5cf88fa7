"""The types that parameters of actions and tasks are made of: one meaning and one error text for each, everywhere."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, Base64Bytes, BeforeValidator, Field

from .states import PRIORITIES, Priority, TaskStatus
from .text import is_storable

PRIORITY_NAMES = [priority.label for priority in PRIORITIES]


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("must not contain the NUL character or a lone surrogate")
    return text


def in_utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without a zone is taken as UTC.

    Raises ValueError within hours of the first or the last moment that there is.
    """
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time of the years 1 to 9999 in UTC") from None


def _words(value: Any) -> Any:
    """Return a list, also from a text such as `failed,cancelled`."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def _ids(value: Any) -> Any:
    words = _words(value)
    return [str(word) for word in words] if isinstance(words, list | tuple) else words


def _priority(value: Any) -> int:
    text = str(value).strip().upper() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if text in Priority.__members__:
        return Priority[text]
    if text.isdecimal() and int(text) in Priority.values:
        return Priority(int(text))
    raise ValueError(f"must be one of {', '.join(PRIORITY_NAMES)}")


def _statuses(value: Any) -> Any:
    words = _words(value) if value else []
    if not isinstance(words, list | tuple):
        raise ValueError("must be a list of statuses, or words with commas")
    words = [str(word).lower() for word in words if word != "all"]
    for word in words:
        if word not in TaskStatus.values:
            raise ValueError(f"{word!r} is not a status; use {', '.join(TaskStatus.values)}")
    return words


def _number(value: Any) -> Any:
    """To Python, true is 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


def _base64(value: Any) -> Any:
    """Refuse invalid base64, which the standard decoder skips."""
    if isinstance(value, str):
        try:
            base64.b64decode("".join(value.split()), validate=True)
        except ValueError as error:
            raise ValueError(f"is not Base64 ({error})") from None
    return value


Text = Annotated[str, AfterValidator(_storable)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_storable)]
Base64 = Annotated[Base64Bytes, BeforeValidator(_base64, json_schema_input_type=str)]
Moment = Annotated[datetime, AfterValidator(in_utc)]
Words = Annotated[list[Text], BeforeValidator(_words, json_schema_input_type=list[str] | str)]
Ids = Annotated[list[Text], BeforeValidator(_ids, json_schema_input_type=list[str] | str)]
PriorityName = Annotated[int, BeforeValidator(_priority, json_schema_input_type=str)]
Statuses = Annotated[list[str], BeforeValidator(_statuses, json_schema_input_type=list[str] | str)]
Whole = Annotated[int, BeforeValidator(_number, json_schema_input_type=int)]
Number = Annotated[float, BeforeValidator(_number, json_schema_input_type=float)]
Concurrency = Annotated[Whole, Field(ge=1, le=100_000)]
Key = Annotated[Text | None, Field(None, max_length=200, description="Calls with the same key are executed once.")]
BatchName = Annotated[Text | None, Field(None, description="The batch's id or name; without it, your default batch.")]
Numbers = Annotated[
    list[Annotated[Whole, Field(ge=1, le=2**31 - 1)]],
    BeforeValidator(_words, json_schema_input_type=list[int] | str),
]
# The filters of tasks have one name each in the page, the API and the actions. The second one is older, and accepted.
StatusFilter = Annotated[
    Statuses,
    Field(
        default_factory=list,
        validation_alias=AliasChoices("status", "filter_status"),
        description=f"Only tasks of these statuses: {', '.join(TaskStatus.values)}.",
    ),
]
PriorityFilter = Annotated[
    Words,
    Field(
        default_factory=list,
        validation_alias=AliasChoices("priority", "priority_is"),
        description=f"Only tasks of these priorities: {', '.join(PRIORITY_NAMES)}.",
    ),
]
