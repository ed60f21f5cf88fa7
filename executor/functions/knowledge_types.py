"""Parameters that the knowledge base and memory have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from executor.domain.parameter_types import Text
from executor.knowledge.expressions import Filter

LONGEST_QUERY = 10_000
LONGEST_TEXT = 200_000


def _filter(text: str) -> str:
    """Raises BadExpression, a ValueError: a wrong filter is refused when its task is added."""
    text = text.strip()
    if text:
        Filter(text)
    return text


def _spoken(value):
    return value.strip() if isinstance(value, str) else value


def filter_of(text: str) -> Filter | None:
    return Filter(text) if text else None


Query = Annotated[Text, BeforeValidator(_spoken), Field(min_length=1, max_length=LONGEST_QUERY)]
Area = Annotated[Text, BeforeValidator(_spoken), Field(max_length=100)]
FilterText = Annotated[
    Text,
    AfterValidator(_filter),
    Field(examples=["area == 'main' and year >= 2020"]),
]
Threshold = Annotated[float, Field(ge=0, le=1)]
