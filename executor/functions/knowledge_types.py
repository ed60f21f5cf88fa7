"""Parameter types shared by the functions of knowledge base and memory."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from executor.domain.parameter_types import Text
from executor.knowledge.expressions import Filter

MAX_QUERY_LENGTH = 10_000
MAX_TEXT_LENGTH = 200_000


def _check_filter(text: str) -> str:
    """Return the text. Raises BadExpression, a ValueError, so that the task is refused when it is added."""
    text = text.strip()
    if text:
        Filter(text)
    return text


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def filter_of(text: str) -> Filter | None:
    """Return the filter of a text; None for an empty one."""
    return Filter(text) if text else None


Query = Annotated[Text, BeforeValidator(_stripped), Field(min_length=1, max_length=MAX_QUERY_LENGTH)]
Area = Annotated[Text, BeforeValidator(_stripped), Field(max_length=100)]
FilterText = Annotated[
    Text,
    AfterValidator(_check_filter),
    Field(examples=["area == 'main' and year >= 2020"]),
]
Threshold = Annotated[float, Field(ge=0, le=1)]
