"""The task list's filter as it stands in the address: `?status=failed,running&priority=high&function=x&q=text`."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import QueryDict

from executor.domain.states import Priority, TaskStatus
from executor.reads.lists import TaskFilter

KEYS = ("status", "priority", "function", "q")
STATUSES = list(TaskStatus.values)
PRIORITIES = [priority.label for priority in reversed(Priority)]


class Filter:
    """What the address asks for; words that mean nothing are left out."""

    def __init__(self, query: QueryDict):
        self.status = _words(query, "status", STATUSES)
        self.priority = _words(query, "priority", PRIORITIES)
        self.function = query.get("function", "").strip()
        self.q = query.get("q", "").strip()

    def __bool__(self) -> bool:
        return bool(self.status or self.priority or self.function or self.q)

    def for_reading(self) -> TaskFilter:
        return TaskFilter(status=self.status, priority=self.priority, function=self.function, q=self.q)

    def selectors(self) -> dict:
        """The same filter as arguments of cancel and retry."""
        given = {"filter_status": self.status, "priority_is": self.priority, "function": self.function, "q": self.q}
        return {name: value for name, value in given.items() if value}

    def as_dict(self) -> dict:
        return {"status": self.status, "priority": self.priority, "function": self.function, "q": self.q}

    def query(self, **changes) -> str:
        """The query string of this filter with some parts changed."""
        parts = {**self.as_dict(), **changes}
        return urlencode({key: _text(value) for key, value in parts.items() if value}, safe=",")

    def toggled(self, status: str) -> str:
        """The query string with this status switched on or off."""
        rest = [word for word in self.status if word != status]
        return self.query(status=rest if status in self.status else [*self.status, status])


def _words(query: QueryDict, key: str, known: list[str]) -> list[str]:
    asked = {word.strip() for value in query.getlist(key) for word in value.split(",")}
    return [word for word in known if word in asked]


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
