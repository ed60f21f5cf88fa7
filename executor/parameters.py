"""The types that parameters of actions and tasks are made of: one meaning and one error text for each, everywhere."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from executor.states import Priority, TaskStatus

PRIORITIES = [priority.label for priority in sorted(Priority, reverse=True)]


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    return text


def _words(value: Any) -> Any:
    """A list, also from text: `failed,cancelled`."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def _ids(value: Any) -> Any:
    words = _words(value)
    return [str(word) for word in words] if isinstance(words, list | tuple) else words


def _priority(value: Any) -> int:
    text = str(value).strip().upper() if isinstance(value, str | int) else ""
    if text in Priority.__members__:
        return Priority[text]
    if text.isdecimal() and int(text) in Priority.values:
        return Priority(int(text))
    raise ValueError(f"must be one of {', '.join(PRIORITIES)}")


def _statuses(value: Any) -> Any:
    words = [str(word).lower() for word in _words(value) if word != "all"] if value else []
    for word in words:
        if word not in TaskStatus.values:
            raise ValueError(f"{word!r} is no status; use {', '.join(TaskStatus.values)}")
    return words


Text = Annotated[str, AfterValidator(_no_nul)]
Line = Annotated[str, Field(max_length=200), AfterValidator(_no_nul)]
Words = Annotated[list[str], BeforeValidator(_words, json_schema_input_type=list[str] | str)]
Ids = Annotated[list[str], BeforeValidator(_ids, json_schema_input_type=list[str] | str)]
PriorityName = Annotated[int, BeforeValidator(_priority, json_schema_input_type=str)]
Statuses = Annotated[list[str], BeforeValidator(_statuses, json_schema_input_type=list[str] | str)]
Concurrency = Annotated[int, Field(ge=1, le=100_000)]
Key = Annotated[str | None, Field(None, max_length=200, description="The same key is carried out once.")]
BatchName = Annotated[str | None, Field(None, description="The batch's id or name; without it, your default batch.")]
StatusFilter = Annotated[
    Statuses, Field(default_factory=list, description="queued, running, completed, failed, cancelled; one or more.")
]
