"""The filter of the task list in the address: `?status=failed,running&priority=high&function=x&q=text`."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import QueryDict

from executor.domain import states
from executor.reads.task_filter import TaskFilter

STATUSES = [str(status) for status in states.STATUS_SPECS]
PRIORITIES = [priority.label for priority in states.PRIORITIES]


class Filter:
    """The filter that an address contains, without unknown statuses and priorities."""

    KEYS = ("status", "priority", "function", "q")

    def __init__(self, query: QueryDict):
        self.status = _known(query, "status", STATUSES)
        self.priority = _known(query, "priority", PRIORITIES)
        self.function = query.get("function", "").strip()
        self.q = query.get("q", "").strip()

    def __bool__(self) -> bool:
        return bool(self.status or self.priority or self.function or self.q)

    def for_reading(self) -> TaskFilter:
        """Return the filter of the reads."""
        return TaskFilter(**self.as_dict())

    def as_parameters(self) -> dict:
        """Return the parts that are set, as parameters of an action."""
        return {name: value for name, value in self.as_dict().items() if value}

    def as_dict(self) -> dict:
        """Return the filter as the scripts use it."""
        return {name: getattr(self, name) for name in self.KEYS}

    def query(self, **changes: object) -> str:
        """Return the query string of this filter with some parts changed."""
        parts = {**self.as_dict(), **changes}
        return urlencode({key: _text(value) for key, value in parts.items() if value}, safe=",")

    def toggled(self, status: str) -> str:
        """Return the query string with this status switched on or off."""
        others = [other for other in self.status if other != status]
        return self.query(status=others if status in self.status else [*self.status, status])


def _known(query: QueryDict, key: str, known: list[str]) -> list[str]:
    given = {word.strip() for value in query.getlist(key) for word in value.split(",")}
    return [word for word in known if word in given]


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
